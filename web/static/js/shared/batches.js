// What a batch object means to a person: its name, state, facts and what can be done with it. Pure.

import { durationRange, integer, NONE, ordinal, percent, rate, shortModel, when } from "./format.js";

/** @typedef {import("./wire.js").Batch} Batch */
/** @typedef {{ word: string, tone: "" | "ok" | "run" | "warn" | "bad", icon: string }} State */
/** @typedef {{ key: string, before?: string, value: string, after?: string, tone?: string, title?: string }} Fact */

export const FINAL = ["completed", "failed", "cancelled", "expired"];
/** So many batches stand side by side. */
export const MOST_BATCHES = 4;

export const TABS = [
  { id: "active", word: "Active" },
  { id: "queued", word: "Queued" },
  { id: "completed", word: "Completed" },
  { id: "failed", word: "Failed" },
  { id: "cancelled", word: "Cancelled" },
  { id: "expired", word: "Expired" },
  { id: "all", word: "All" },
];

/** @type {Record<string, State>} */
const STATES = {
  completed: { word: "completed", tone: "ok", icon: "check" },
  failed: { word: "failed", tone: "bad", icon: "cross" },
  cancelled: { word: "cancelled", tone: "", icon: "ban" },
  expired: { word: "expired", tone: "warn", icon: "clock" },
  cancelling: { word: "cancelling", tone: "warn", icon: "ban" },
  finalizing: { word: "finalizing", tone: "run", icon: "dot" },
  loading_model: { word: "loading model", tone: "run", icon: "dots" },
  waiting_for_worker: { word: "waiting for a worker", tone: "warn", icon: "warning" },
  running: { word: "running", tone: "run", icon: "dot" },
  queued: { word: "queued", tone: "", icon: "clock" },
};

/** @param {Batch} batch */
export function isOpen(batch) {
  return !FINAL.includes(batch.status);
}

/** @param {Batch} batch */
export function isQueued(batch) {
  return batch.status === "pending" || batch.status === "validating";
}

/** @param {Batch} batch */
export function displayName(batch) {
  return batch.metadata?.name?.trim() || batch.filename || batch.id;
}

/** The letter that stands for a batch beside others; A is the first.
 * @param {number} batch counted from 0 */
export function letterOf(batch) {
  return "ABCD"[batch];
}

/** As one of those to choose from.
 * @param {Batch} batch @param {Date} now */
export function choiceOf(batch, now) {
  const state = isOpen(batch) ? ", still running" : "";
  return `${displayName(batch)} · ${integer(batch.request_counts.completed)} answers${state} · ${when(batch.created_at, now)}`;
}

/** @param {Batch} batch @returns {State} */
export function stateOf(batch) {
  if (batch.status === "cancelling" || !isOpen(batch)) return STATES[batch.status];
  const state = STATES[batch.progress.phase] ?? { ...STATES.running, word: batch.status };
  const position = batch.progress.queue_position;
  return state === STATES.queued && position ? { ...state, word: `queued, ${ordinal(position)}` } : state;
}

/** Answered or failed: what will not run again.
 * @param {Batch} batch */
export function doneCount(batch) {
  return batch.request_counts.completed + batch.request_counts.failed;
}

/** What is known about an open batch, in reading order; unknown facts are left out.
 * @param {Batch} batch @returns {Fact[]} */
export function jobFacts(batch) {
  const { completed, failed, total } = batch.request_counts;
  const {
    chunk,
    chunks,
    requests_per_second: requests,
    tokens_per_second: tokens,
    eta_seconds: eta,
  } = batch.progress;
  const queued = isQueued(batch);
  /** @type {(Fact | false | 0 | null)[]} */
  const facts = [
    { key: "done", value: integer(completed), after: `of ${integer(total)} done` },
    (!queued || failed > 0) && {
      key: "failed",
      value: integer(failed),
      after: "failed",
      tone: failed > 0 ? "bad" : "",
    },
    !queued &&
      chunks > 0 && { key: "chunk", before: "chunk", value: integer(chunk), after: `of ${integer(chunks)}` },
    requests != null && {
      key: "requests",
      value: rate(requests),
      after: "requests/s",
      title: "over the last minute",
    },
    tokens != null && {
      key: "tokens",
      value: rate(tokens),
      after: "tokens/s",
      title: "over the last minute",
    },
    { key: "model", before: "model", value: shortModel(batch.model), title: batch.model },
    eta != null && { key: "eta", before: "done in", value: durationRange(eta) },
  ];
  return /** @type {Fact[]} */ (facts.filter(Boolean));
}

/** @param {string} status of one request @returns {State} */
export function requestState(status) {
  if (status === "pending") return { ...STATES.queued, word: "pending" };
  return STATES[status] ?? { word: status, tone: "", icon: "info" };
}

/** @param {Batch} batch */
export function donePercent(batch) {
  return batch.request_counts.total ? percent(doneCount(batch), batch.request_counts.total) : NONE;
}

/** @param {Batch} batch @returns {number | null} */
export function finishedAt(batch) {
  return batch.completed_at ?? batch.failed_at ?? batch.cancelled_at ?? batch.expired_at;
}

/** Seconds from the first work on it to its end; null when it never ran or has not ended.
 * @param {Batch} batch */
export function tookSeconds(batch) {
  const end = finishedAt(batch);
  return end == null || batch.in_progress_at == null ? null : Math.max(0, end - batch.in_progress_at);
}

/** Requests that ended without an answer: what a retry would run again.
 * @param {Batch} batch */
export function unsuccessfulCount(batch) {
  return batch.request_counts.failed + batch.progress.cancelled + batch.progress.expired;
}

/** What can be asked for now. `results`: the finished file, what there is so far, or nothing.
 * @param {Batch} batch
 * @returns {{ results: "all" | "partial" | null, errors: boolean, retry: boolean, cancel: boolean }}
 */
export function offers(batch) {
  const { completed } = batch.request_counts;
  const whole = batch.status === "completed";
  return {
    results: whole ? (batch.output_file_id ? "all" : null) : completed > 0 ? "partial" : null,
    errors: batch.error_file_id != null,
    retry: !isOpen(batch) && unsuccessfulCount(batch) > 0,
    cancel: isOpen(batch) && batch.status !== "cancelling" && batch.status !== "finalizing",
  };
}

/** Why a batch failed as a whole, in one line; null when it did not.
 * @param {Batch} batch */
export function failureReason(batch) {
  const errors = batch.errors?.data ?? [];
  if (errors.length === 0) return null;
  const { line, message } = errors[0];
  const more = errors.length > 1 ? ` (and ${integer(errors.length - 1)} more)` : "";
  return `${line ? `line ${integer(line)}: ` : ""}${message}${more}`;
}

/** @param {string} id */
export function batchPath(id) {
  return `/v1/batches/${encodeURIComponent(id)}`;
}

/** @param {Batch} batch */
export function resultsPath(batch) {
  return `${batchPath(batch.id)}/results`;
}

/** The answers as a table, safe to open in a spreadsheet.
 * @param {Batch} batch */
export function csvPath(batch) {
  return `${batchPath(batch.id)}/export?format=csv`;
}

/** @param {Batch} batch */
export function errorsPath(batch) {
  return `/v1/files/${encodeURIComponent(batch.error_file_id ?? "")}/content`;
}
