// The head of a batch's page: what it is, what can be done with it, what went wrong in it.

import { bindDownload } from "../shared/api.js";
import {
  displayName,
  doneCount,
  donePercent,
  errorsPath,
  failureReason,
  finishedAt,
  isOpen,
  offers,
  resultsPath,
  stateOf,
  tookSeconds,
} from "../shared/batches.js";
import { byId, el, reconcile, setAttribute, setState, setText, show } from "../shared/dom.js";
import { bytes, compact, duration, durationRange, integer, utc, when } from "../shared/format.js";

/** @typedef {import("../shared/wire.js").Batch} Batch */
/**
 * @typedef {{ code: string, count: number, sample: { line: number | null, custom_id: string | null, message:
 * string | null } }} ErrorGroup
 */

/** @param {Batch} batch @param {import("../shared/batch_rows.js").Actions} actions */
export function drawHead(batch, actions) {
  const name = displayName(batch);
  setText(byId("title"), `${name} · Batch`);
  setText(byId("batch-name"), name);
  setText(byId("batch-id"), batch.id);
  setState(byId("batch-state"), stateOf(batch));
  show(byId("batch-why"), failureReason(batch) !== null);
  setText(byId("batch-why"), failureReason(batch) ?? "");
  setAttribute(byId("batch-bar"), "max", String(Math.max(1, batch.request_counts.total)));
  setAttribute(byId("batch-bar"), "value", String(doneCount(batch)));
  setText(byId("batch-percent"), donePercent(batch));
  show(byId("batch-meter"), isOpen(batch));
  reconcile(byId("details"), detailRows(batch, new Date()), (row) => row.label, createDetail);
  drawOffers(batch, actions);
}

/** @param {Batch} batch @param {import("../shared/batch_rows.js").Actions} actions */
function drawOffers(batch, actions) {
  const offer = offers(batch);
  show(byId("download"), offer.results !== null);
  byId("as-table").href = `table_view.html?batch=${encodeURIComponent(batch.id)}`;
  show(byId("as-table"), offer.results !== null);
  byId("clone").href = `submit_batch.html?clone=${encodeURIComponent(batch.id)}`;
  show(byId("clone"), batch.filename !== null); // null when its file was deleted
  setText(byId("download-word"), offer.results === "partial" ? "Partial results" : "Download Results");
  if (offer.results)
    bindDownload(byId("download"), resultsPath(batch), `${batch.id}_output.jsonl`, actions.failed);
  show(byId("download-errors"), offer.errors);
  if (offer.errors)
    bindDownload(byId("download-errors"), errorsPath(batch), `${batch.id}_errors.jsonl`, actions.failed);
  show(byId("cancel"), offer.cancel);
  show(byId("retry"), offer.retry);
}

/** @returns {import("../shared/dom.js").View} */
function createDetail() {
  const label = el("dt");
  const value = el("dd");
  return {
    node: el("div", {}, label, value),
    /** @param {Detail} detail */
    update(detail) {
      setText(label, detail.label);
      setAttribute(value, "title", detail.title ?? null);
      if (detail.batchIds) {
        if (value.textContent !== detail.value) value.replaceChildren(...linksTo(detail.batchIds));
      } else setText(value, detail.value);
    },
  };
}

/** @param {string[]} batchIds @returns {(Node | string)[]} as text the same as joined with ", " */
function linksTo(batchIds) {
  return batchIds.flatMap((id, index) => [
    ...(index > 0 ? [", "] : []),
    el("a", { href: `?batch=${encodeURIComponent(id)}` }, id),
  ]);
}

/** @param {ErrorGroup[]} groups @param {{ filter: (code: string) => void, open: (line: number) => void }} actions */
export function drawErrors(groups, actions) {
  show(byId("errors"), groups.length > 0);
  reconcile(
    byId("error-groups"),
    groups,
    (group) => group.code,
    () => createGroup(actions),
  );
}

/**
 * @param {{ filter: (code: string) => void, open: (line: number) => void }} actions
 * @returns {import("../shared/dom.js").View}
 */
function createGroup({ filter, open }) {
  const count = el("span", { class: "at" });
  const code = el("button", { type: "button", class: "plain bad-text mono", title: "Show these requests" });
  const sample = el("p", { class: "clip muted" });
  const where = el("button", { type: "button", class: "plain muted", title: "Open this request" });
  /** @type {ErrorGroup} */
  let now;
  code.addEventListener("click", () => filter(now.code));
  where.addEventListener("click", () => now.sample.line && open(now.sample.line));
  return {
    node: el("li", {}, count, el("div", {}, el("p", { class: "break" }, code, " ", where), sample)),
    /** @param {ErrorGroup} group */
    update(group) {
      now = group;
      setText(count, integer(group.count));
      setText(code, group.code);
      show(where, group.sample.line !== null);
      setText(where, group.sample.line ? `first on line ${integer(group.sample.line)}` : "");
      setText(sample, group.sample.message ?? "");
    },
  };
}

/**
 * @typedef {{ label: string, value: string, title?: string, batchIds?: string[] }} Detail `value` of batches:
 * their ids, joined with ", "
 */

/** @param {import("../shared/wire.js").Batch} batch @param {Date} now @returns {Detail[]} */
export function detailRows(batch, now) {
  const { request_counts: counts, usage, progress } = batch;
  /** @param {string} label @param {number | null} at @returns {Detail | null} */
  const moment = (label, at) => (at == null ? null : { label, value: when(at, now), title: utc(at) });
  /** @param {string} label @param {number | null} size @returns {Detail | null} */
  const size = (label, size) => (size == null ? null : { label, value: bytes(size) });
  /** @param {string} label @param {string[]} batchIds @returns {Detail | null} */
  const links = (label, batchIds) =>
    batchIds.length === 0 ? null : { label, value: batchIds.join(", "), batchIds };
  /** @type {(Detail | null | false)[]} */
  const rows = [
    { label: "answers", value: `${integer(counts.completed)} of ${integer(counts.total)}` },
    { label: "failed", value: integer(counts.failed) },
    progress.cancelled > 0 && { label: "not run (cancelled)", value: integer(progress.cancelled) },
    progress.expired > 0 && { label: "not run (expired)", value: integer(progress.expired) },
    { label: "model", value: batch.model },
    { label: "endpoint", value: batch.endpoint },
    usage && { label: "tokens in", value: compact(usage.input_tokens), title: integer(usage.input_tokens) },
    usage && {
      label: "tokens out",
      value: compact(usage.output_tokens),
      title: integer(usage.output_tokens),
    },
    batch.reused != null &&
      batch.reused.deduplicated > 0 && {
        label: "copies of other requests",
        value: integer(batch.reused.deduplicated),
      },
    batch.reused != null &&
      batch.reused.cached > 0 && { label: "from earlier batches", value: integer(batch.reused.cached) },
    batch.engine != null &&
      batch.engine.mean_requests > 0 && { label: "engine", value: engineWords(batch.engine) },
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
    links("retries", batch.parent_batch_id ? [batch.parent_batch_id] : []),
    links("retried as", batch.retried_by),
    ...Object.entries(batch.metadata ?? {})
      .filter(([name]) => name !== "name")
      .map(([name, value]) => ({ label: `metadata.${name}`, value })),
  ];
  return /** @type {Detail[]} */ (rows.filter(Boolean));
}

/** How well the engine was used, in one line. @param {import("../shared/wire.js").EngineReport} engine */
export function engineWords(engine) {
  const percent = (/** @type {number} */ share) => `${Math.round(100 * share)} %`;
  const words = [`full ${percent(engine.full_share)} of the time`, `${engine.mean_requests} at once`];
  if (engine.cached_prompt_share)
    words.push(`${percent(engine.cached_prompt_share)} of prompts computed before`);
  if (engine.preemptions > 0) words.push(`${integer(engine.preemptions)} begun again for want of cache`);
  return words.join(", ");
}
