// The samples behind the charts as columns of numbers, and as the table beside each. Pure.

import { bytes, integer, NONE, rate } from "../shared/format.js";

/** @typedef {import("../shared/wire.js").Sample} Sample */
/**
 * @typedef {{ id: string, title: string, unit: string, field: keyof Sample, gpu: boolean, most?: number,
 * said: (value: number | null) => string }} Chart
 */
/** @typedef {import("../shared/status_cards.js").Bucket} Bucket */

/** @param {number | null} value */
const percent = (value) => (value === null ? NONE : `${Math.round(value)} %`);
/** @param {number | null} value */
const celsius = (value) => (value === null ? NONE : `${Math.round(value)} °C`);

/** @type {Chart[]} */
export const CHARTS = [
  {
    id: "tokens",
    title: "Tokens per second",
    unit: "tokens/s",
    field: "tokens_per_second",
    gpu: false,
    said: rate,
  },
  {
    id: "requests",
    title: "Requests per second",
    unit: "requests/s",
    field: "requests_per_second",
    gpu: false,
    said: rate,
  },
  {
    id: "queued",
    title: "Queue",
    unit: "requests waiting",
    field: "queued_requests",
    gpu: false,
    said: integer,
  },
  {
    id: "utilisation",
    title: "GPU utilisation",
    unit: "",
    field: "gpu_utilization_percent",
    gpu: true,
    most: 100,
    said: percent,
  },
  {
    id: "memory",
    title: "GPU memory",
    unit: "in use",
    field: "gpu_memory_used_bytes",
    gpu: true,
    said: bytes,
  },
  {
    id: "temperature",
    title: "GPU temperature",
    unit: "",
    field: "gpu_temperature_c",
    gpu: true,
    said: celsius,
  },
];

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
  return samples.some(
    (one) =>
      one.gpu_utilization_percent != null ||
      one.gpu_memory_used_bytes != null ||
      one.gpu_temperature_c != null,
  );
}
