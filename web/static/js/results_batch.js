// One batch: what it is, what went wrong in it, and its requests, page by page from the server.

import { callJson } from "./api.js";
import { createBatchActions } from "./batch_actions.js";
import { detailRows } from "./batch_details.js";
import { displayName, donePercent, doneCount, errorsPath, failureReason, isOpen, offers, resultsPath, stateOf } from "./batches.js";
import { byId, el, mirror, setAttribute, setState, setText, show } from "./dom.js";
import { bindDownload } from "./downloads.js";
import { createFreshness } from "./freshness.js";
import { integer, plural } from "./format.js";
import { createPoller } from "./poller.js";
import { createRequestTable } from "./request_table.js";

const PAGE_SIZE = 50;
const EVERY_MS = 5000;
const TYPING_PAUSE_MS = 250;

/** @typedef {import("./wire.js").Batch} Batch */
/** @typedef {{ code: string, count: number, sample: { line: number | null, custom_id: string | null, message: string | null } }} ErrorGroup */
/** @typedef {{ data: import("./wire.js").RequestRow[], has_more: boolean, total: number }} RequestList */

const id = new URLSearchParams(location.search).get("batch") ?? "";
const path = `/v1/batches/${encodeURIComponent(id)}`;
const poller = createPoller({ work: read, onDone: draw, onFail: (...failure) => freshness.failed(...failure) });
const freshness = createFreshness({ retryNow: () => void poller.now() });
const actions = createBatchActions({ changed: () => void poller.now() });
const table = createRequestTable(byId("requests"));
/** @type {Batch | null} */
let batch = null;
let lastLine = 0;
/** @type {Map<string, number>} */
const sizes = new Map();

/** Sizes of the result files; they never change, so each is asked for once.
 * @param {Batch} found */
async function learnSizes(found) {
  const ids = [found.output_file_id, found.error_file_id].filter((one) => one !== null && !sizes.has(one));
  if (ids.length === 0) return;
  const learned = await Promise.all(ids.map((one) => callJson(`/v1/files/${one}`))).catch(() => []);
  for (const file of learned) sizes.set(file.id, file.bytes);
  drawHead(found, actions, sizes);
}

/** @param {AbortSignal} signal @returns {Promise<[Batch, { data: ErrorGroup[] }, RequestList]>} */
function read(signal) {
  const options = { signal };
  return Promise.all([callJson(path, options), callJson(`${path}/errors`, options), callJson(`${path}/requests?${query()}`, options)]);
}

function place() {
  const asked = new URLSearchParams(location.search);
  return { status: asked.get("status") ?? "", customId: asked.get("custom_id") ?? "", after: Number(asked.get("after") ?? 0) };
}

function query() {
  const { status, customId, after } = place();
  const asked = { limit: String(PAGE_SIZE), status, custom_id: customId, after: after ? String(after) : "" };
  return new URLSearchParams(Object.entries(asked).filter(([, value]) => value !== ""));
}

/** @param {{ status?: string, customId?: string, after?: number }} to @param {"push" | "replace"} [how] */
function go(to, how = "push") {
  const { status, customId, after } = { ...place(), after: 0, ...to };
  const asked = Object.entries({ batch: id, status, custom_id: customId, after: after ? String(after) : "" });
  const address = `?${new URLSearchParams(asked.filter(([, value]) => value !== ""))}`;
  if (how === "push") history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  void poller.now();
}

/** @param {[Batch, { data: ErrorGroup[] }, RequestList]} reading */
function draw([found, errors, requests]) {
  batch = found;
  freshness.updated();
  drawHead(found, actions, sizes);
  void learnSizes(found);
  drawErrors(errors.data);
  table.update(requests.data);
  drawPager(requests);
  poller.every(isOpen(found) ? EVERY_MS : 0);
}

/** @param {RequestList} requests */
function drawPager(requests) {
  const { status, customId, after } = place();
  lastLine = requests.data.at(-1)?.line ?? 0;
  setText(byId("requests-count"), plural(requests.total, "request") + (status || customId ? " match" : ""));
  show(byId("requests-empty"), requests.data.length === 0);
  show(byId("requests-pager"), requests.has_more || after > 0);
  byId("next").disabled = !requests.has_more;
  byId("first").disabled = after === 0;
}

function arrive() {
  byId("request-status").value = place().status;
  byId("custom-id").value = place().customId;
  void poller.now();
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let typing;
byId("custom-id").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => go({ customId: byId("custom-id").value }, "replace"), TYPING_PAUSE_MS);
});
byId("request-status").addEventListener("change", () => go({ status: byId("request-status").value }));
byId("next").addEventListener("click", () => go({ after: lastLine }));
byId("first").addEventListener("click", () => go({}));
byId("cancel").addEventListener("click", () => batch && actions.cancel(batch));
byId("retry").addEventListener("click", () => batch && actions.retry(batch));
addEventListener("popstate", arrive);
poller.every(EVERY_MS);
arrive();

/** @param {Batch} batch @param {import("./job_row.js").Actions} actions @param {Map<string, number>} sizes bytes of its files */
function drawHead(batch, actions, sizes) {
  const name = displayName(batch);
  const offer = offers(batch);
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
  mirror(byId("details"), detailRows(batch, new Date(), sizes), (row) => row.label, createDetail);
  show(byId("download"), offer.results !== null);
  byId("as-table").href = `table_view.html?batch=${encodeURIComponent(batch.id)}`;
  show(byId("as-table"), offer.results !== null);
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

/** @param {ErrorGroup[]} groups */
function drawErrors(groups) {
  show(byId("errors"), groups.length > 0);
  mirror(byId("error-groups"), groups, (group) => group.code, () => {
    const count = el("span", { class: "at" });
    const code = el("b", { class: "bad-text mono" });
    const sample = el("p", { class: "clip muted" });
    const where = el("span", { class: "muted" });
    return {
      node: el("li", {}, count, el("div", {}, el("p", { class: "break" }, code, " ", where), sample)),
      /** @param {ErrorGroup} group */
      update(group) {
        setText(count, integer(group.count));
        setText(code, group.code);
        setText(where, group.sample.line ? `first on line ${integer(group.sample.line)}` : "");
        setText(sample, group.sample.message ?? "");
      },
    };
  });
}
