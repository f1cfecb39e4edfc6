// The head of a batch's page: what it is, what can be done with it, what went wrong in it.

import { detailRows } from "./batch_details.js";
import { displayName, doneCount, donePercent, errorsPath, failureReason, isOpen, offers, resultsPath, stateOf } from "./batches.js";
import { byId, el, mirror, setAttribute, setState, setText, show } from "./dom.js";
import { bindDownload } from "./downloads.js";
import { integer } from "./format.js";

/** @typedef {import("./wire.js").Batch} Batch */
/** @typedef {{ code: string, count: number, sample: { line: number | null, custom_id: string | null, message: string | null } }} ErrorGroup */

/** @param {Batch} batch @param {import("./job_row.js").Actions} actions */
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
  mirror(byId("details"), detailRows(batch, new Date()), (row) => row.label, createDetail);
  drawOffers(batch, actions);
}

/** @param {Batch} batch @param {import("./job_row.js").Actions} actions */
function drawOffers(batch, actions) {
  const offer = offers(batch);
  show(byId("download"), offer.results !== null);
  byId("as-table").href = `table_view.html?batch=${encodeURIComponent(batch.id)}`;
  show(byId("as-table"), offer.results !== null);
  byId("clone").href = `submit_batch.html?clone=${encodeURIComponent(batch.id)}`;
  show(byId("clone"), batch.filename !== null); // null when its file was deleted
  setText(byId("download-word"), offer.results === "partial" ? "Partial results" : "Download Results");
  if (offer.results) bindDownload(byId("download"), resultsPath(batch), `${batch.id}_output.jsonl`, actions.failed);
  show(byId("download-errors"), offer.errors);
  if (offer.errors) bindDownload(byId("download-errors"), errorsPath(batch), `${batch.id}_errors.jsonl`, actions.failed);
  show(byId("cancel"), offer.cancel);
  show(byId("retry"), offer.retry);
}

/** @returns {import("./dom.js").View} */
function createDetail() {
  const label = el("dt");
  const value = el("dd");
  return {
    node: el("div", {}, label, value),
    /** @param {import("./batch_details.js").Detail} detail */
    update(detail) {
      setText(label, detail.label);
      setAttribute(value, "title", detail.title ?? null);
      if (detail.batchId) {
        if (value.textContent !== detail.value) value.replaceChildren(el("a", { href: `?batch=${encodeURIComponent(detail.batchId)}` }, detail.value));
      } else setText(value, detail.value);
    },
  };
}

/** @param {ErrorGroup[]} groups @param {{ filter: (code: string) => void, open: (line: number) => void }} actions */
export function drawErrors(groups, actions) {
  show(byId("errors"), groups.length > 0);
  mirror(byId("error-groups"), groups, (group) => group.code, () => createGroup(actions));
}

/** @param {{ filter: (code: string) => void, open: (line: number) => void }} actions @returns {import("./dom.js").View} */
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
