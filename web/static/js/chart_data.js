// The samples behind the charts as columns of numbers, and as the table beside each. Pure.

import { bytes, integer, NONE, rate } from "./format.js";

/** @typedef {import("./wire.js").Sample} Sample */
/** @typedef {{ id: string, title: string, unit: string, field: keyof Sample, gpu: boolean, most?: number, said: (value: number | null) => string }} Chart */
/** @typedef {{ from: number, to: number, mean: number | null, low: number | null, high: number | null }} Bucket */

/** @param {number | null} value */
const percent = (value) => (value === null ? NONE : `${Math.round(value)} %`);
/** @param {number | null} value */
const celsius = (value) => (value === null ? NONE : `${Math.round(value)} °C`);

/** @type {Chart[]} */
export const CHARTS = [
  { id: "tokens", title: "Tokens per second", unit: "tokens/s", field: "tokens_per_second", gpu: false, said: rate },
  { id: "requests", title: "Requests per second", unit: "requests/s", field: "requests_per_second", gpu: false, said: rate },
  { id: "queued", title: "Queue", unit: "requests waiting", field: "queued_requests", gpu: false, said: integer },
  { id: "utilisation", title: "GPU utilisation", unit: "", field: "gpu_utilization_percent", gpu: true, most: 100, said: percent },
  { id: "memory", title: "GPU memory", unit: "in use", field: "gpu_memory_used_bytes", gpu: true, said: bytes },
  { id: "temperature", title: "GPU temperature", unit: "", field: "gpu_temperature_c", gpu: true, said: celsius },
];

/** Equal pieces of time from the oldest to `to`; one without a reading is null, so that a pause shows as a gap.
 * Pieces begin at multiples of their width: a later reading changes the last one only.
 * @param {Sample[]} samples oldest first @param {keyof Sample} field @param {{ to: number, seconds: number, pieces: number }} window
 * @returns {Bucket[]} */
export function buckets(samples, field, { to, seconds, pieces }) {
  const width = seconds / pieces;
  const first = Math.floor((to - seconds) / width) + 1;
  /** @type {Bucket[]} */
  const found = Array.from({ length: pieces }, (_, index) => ({ from: (first + index) * width, to: (first + index + 1) * width, mean: null, low: null, high: null }));
  const counts = new Array(pieces).fill(0);
  for (const sample of samples) {
    const index = Math.floor(sample.at / width) - first;
    const value = sample[field];
    if (value == null || index < 0 || index >= pieces) continue;
    add(found[index], value, (counts[index] += 1));
  }
  return found;
}

/** @param {Bucket} bucket @param {number} value @param {number} count of the values with this one */
function add(bucket, value, count) {
  bucket.mean = (bucket.mean ?? 0) + (value - (bucket.mean ?? 0)) / count;
  bucket.low = Math.min(bucket.low ?? value, value);
  bucket.high = Math.max(bucket.high ?? value, value);
}

/** Old readings and newer ones as one series without doubles or what lies before `since`.
 * @param {Sample[]} old @param {Sample[]} fresh both oldest first @param {number} since */
export function joined(old, fresh, since) {
  const from = fresh[0]?.at ?? Infinity;
  return [...old.filter(({ at }) => at < from && at >= since), ...fresh.filter(({ at }) => at >= since)];
}

/** The series in one sentence, for those who cannot see the line.
 * @param {Chart} chart @param {Bucket[]} found */
export function summary({ title, said }, found) {
  const known = found.filter(({ mean }) => mean !== null);
  if (known.length === 0) return `${title}: no readings in this time.`;
  const low = Math.min(...known.map((one) => /** @type {number} */ (one.low)));
  const high = Math.max(...known.map((one) => /** @type {number} */ (one.high)));
  return `${title}: ${said(low)} to ${said(high)}, last ${said(known[known.length - 1].mean)}.`;
}

/** Whether there is anything of a GPU in the samples.
 * @param {Sample[]} samples */
export function hasGpu(samples) {
  return samples.some((one) => one.gpu_utilization_percent != null || one.gpu_memory_used_bytes != null || one.gpu_temperature_c != null);
}
