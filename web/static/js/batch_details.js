// The facts of one batch in reading order; unknown ones are left out. Pure.

import { finishedAt, tookSeconds } from "./batches.js";
import { bytes, compact, duration, durationRange, integer, utc, when } from "./format.js";

/** @typedef {{ label: string, value: string, title?: string, batchId?: string }} Detail */

/** @param {import("./wire.js").Batch} batch @param {Date} now @returns {Detail[]} */
export function detailRows(batch, now) {
  const { request_counts: counts, usage, progress } = batch;
  /** @param {string} label @param {number | null} at @returns {Detail | null} */
  const moment = (label, at) => (at == null ? null : { label, value: when(at, now), title: utc(at) });
  /** @param {string} label @param {number | null} size @returns {Detail | null} */
  const size = (label, size) => (size == null ? null : { label, value: bytes(size) });
  /** @type {(Detail | null | false)[]} */
  const rows = [
    { label: "answers", value: `${integer(counts.completed)} of ${integer(counts.total)}` },
    { label: "failed", value: integer(counts.failed) },
    progress.cancelled > 0 && { label: "not run (cancelled)", value: integer(progress.cancelled) },
    progress.expired > 0 && { label: "not run (expired)", value: integer(progress.expired) },
    { label: "model", value: batch.model },
    { label: "endpoint", value: batch.endpoint },
    usage && { label: "tokens in", value: compact(usage.input_tokens), title: integer(usage.input_tokens) },
    usage && { label: "tokens out", value: compact(usage.output_tokens), title: integer(usage.output_tokens) },
    batch.reused != null && batch.reused.deduplicated > 0 && { label: "copies of other requests", value: integer(batch.reused.deduplicated) },
    batch.reused != null && batch.reused.cached > 0 && { label: "from earlier batches", value: integer(batch.reused.cached) },
    batch.engine != null && { label: "engine", value: engineWords(batch.engine) },
    moment("submitted", batch.created_at),
    moment("started", batch.in_progress_at),
    moment("ended", finishedAt(batch)),
    tookSeconds(batch) != null && { label: "took", value: duration(tookSeconds(batch)) },
    progress.eta_seconds && { label: "done in", value: durationRange(progress.eta_seconds) },
    batch.expires_at != null && finishedAt(batch) == null && moment("expires", batch.expires_at),
    batch.filename ? { label: "file", value: batch.filename } : null,
    size("results", batch.output_bytes),
    size("errors", batch.error_bytes),
    batch.priority !== 0 && { label: "priority", value: String(batch.priority) },
    batch.parent_batch_id ? { label: "retries", value: batch.parent_batch_id, batchId: batch.parent_batch_id } : null,
    ...Object.entries(batch.metadata ?? {}).filter(([name]) => name !== "name").map(([name, value]) => ({ label: `metadata.${name}`, value })),
  ];
  return /** @type {Detail[]} */ (rows.filter(Boolean));
}

/** How well the engine was used, in one line. @param {import("./wire.js").EngineReport} engine */
export function engineWords(engine) {
  const percent = (/** @type {number} */ share) => `${Math.round(100 * share)} %`;
  const words = [`full ${percent(engine.full_share)} of the time`, `${engine.mean_requests} at once`];
  if (engine.cached_prompt_share) words.push(`${percent(engine.cached_prompt_share)} of prompts computed before`);
  if (engine.preemptions > 0) words.push(`${integer(engine.preemptions)} begun again for want of cache`);
  return words.join(", ");
}
