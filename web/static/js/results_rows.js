// What stands around the rows of a batch: the filters and what they are, the pager, the export of just these rows.

import { bindDownload } from "./api.js";
import { byId, el, icon, mirror, setText, show } from "./dom.js";
import { integer, plural } from "./format.js";
import { createNotice, messageOf } from "./page.js";
import { chipsOf, filterQuery, isFiltered } from "./results_place.js";

/** @typedef {import("./results_place.js").Place} Place */
/** @typedef {(to: Place, how?: "push" | "replace") => void} Go */

const TYPING_PAUSE_MS = 250;
const notice = createNotice({ closable: true });
/** @type {ReturnType<typeof setTimeout> | undefined} */
let typing;

/** @param {() => Place} place @param {Go} go */
export function listenToFilters(place, go) {
  /** What was typed a moment ago counts already.
   * @param {Partial<Place>} change @param {"push" | "replace"} [how] */
  const change = (change, how) => {
    clearTimeout(typing);
    typing = undefined;
    go({ ...place(), offset: 0, after: 0, line: null, text: byId("search").value, customId: byId("custom-id").value, ...change }, how);
  };
  for (const id of ["search", "custom-id"]) {
    byId(id).addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => change({}, "replace"), TYPING_PAUSE_MS);
    });
    byId(id).addEventListener("change", () => typing !== undefined && change({}, "replace")); // left before the pause
  }
  byId("request-status").addEventListener("change", () => change({ status: byId("request-status").value }));
  byId("sort").addEventListener("change", () => change({ sort: byId("sort").value }));
  byId("clear").addEventListener("click", () => change({ status: "", code: "", customId: "", text: "", where: [] }));
}

/** Shows what is asked for, and binds the export to it. What is being typed stays.
 * @param {string} batchId @param {Place} place @param {Go} go */
export function drawFilters(batchId, place, go) {
  const fields = { search: place.text, "custom-id": place.customId, "request-status": place.status };
  for (const [id, value] of Object.entries(fields)) {
    if (typing === undefined && byId(id).value !== value) byId(id).value = value;
  }
  byId("sort").value = [...byId("sort").options].some((/** @type {HTMLOptionElement} */ one) => one.value === place.sort) ? place.sort : "line";
  show(byId("chips"), isFiltered(place));
  mirror(byId("chip-list"), chipsOf(place).map((chip) => ({ chip, go })), ({ chip }) => chip.key, createChip);
  for (const format of ["csv", "jsonl"]) {
    const asked = new URLSearchParams([...filterQuery(place), ["sort", place.sort], ["format", format]]);
    bindDownload(byId(`export-${format}`), `/v1/batches/${encodeURIComponent(batchId)}/export?${asked}`, `${batchId}_answers.${format}`, (error) => notice.say("bad", messageOf(error)));
  }
}

/** @returns {import("./dom.js").View} */
function createChip() {
  const label = el("span", { class: "muted" });
  const value = el("b");
  const button = el("button", { type: "button" }, label, " ", value, icon("cross"));
  /** @type {{ chip: import("./results_place.js").Chip, go: Go }} */
  let now;
  button.addEventListener("click", () => now.go({ ...now.chip.without, offset: 0, after: 0, line: null }));
  return {
    node: el("li", {}, button),
    /** @param {typeof now} item */
    update(item) {
      now = item;
      setText(label, item.chip.label);
      setText(value, item.chip.value);
      button.title = "Remove this filter";
    },
  };
}

/** @param {Place} place @param {import("./results_batch.js").Rows} rows @param {import("./wire.js").Batch} batch */
export function drawRows(place, rows, batch) {
  drawPager(place, rows);
  drawNote(rows, batch);
  show(byId("requests-empty"), rows.data.length === 0);
  setText(byId("requests-count"), rows.total === null ? "" : plural(rows.total, "request") + (isFiltered(place) ? " match" : ""));
  const answered = batch.request_counts.completed + batch.request_counts.failed > 0;
  show(byId("exports"), answered && rows.data.length > 0 && !["pending", "running"].includes(place.status));
  setText(byId("export-word"), isFiltered(place) ? `Export ${rows.source === "answers" && rows.total !== null ? `these ${integer(rows.total)}` : "these answers"}` : "Export all answers");
}

/** @param {Place} place @param {import("./results_batch.js").Rows} rows */
function drawPager(place, rows) {
  const isAnswers = rows.source === "answers";
  const hasMore = isAnswers ? place.offset + rows.data.length < (rows.total ?? 0) : Boolean(rows.has_more);
  const isFirst = isAnswers ? place.offset === 0 : place.after === 0;
  show(byId("requests-pager"), rows.data.length > 0 || !isFirst);
  for (const id of ["first", "previous", "next"]) show(byId(id), hasMore || !isFirst);
  show(byId("previous"), isAnswers && (hasMore || !isFirst));
  byId("next").disabled = !hasMore;
  byId("previous").disabled = isFirst;
  byId("first").disabled = isFirst;
  const [from, to] = isAnswers ? [place.offset + 1, place.offset + rows.data.length] : [rows.data[0]?.line ?? 0, rows.data.at(-1)?.line ?? 0];
  setText(byId("range"), rows.data.length === 0 ? "" : isAnswers ? `${integer(from)} – ${integer(to)} of ${integer(rows.total)}` : `lines ${integer(from)} – ${integer(to)}`);
}

/** What is not among the rows, and why.
 * @param {import("./results_batch.js").Rows} rows @param {import("./wire.js").Batch} batch */
function drawNote({ source, indexed = 0, complete }, { request_counts: counts }) {
  const answered = counts.completed + counts.failed;
  const unanswered = counts.total - answered;
  const isBehind = source === "answers" && complete === false;
  const text = isBehind
    ? `${integer(indexed)} of ${integer(answered)} answers are read so far; more follow.`
    : source === "answers" && unanswered > 0
      ? `Answered requests only: ${plural(unanswered, "request")} without an answer cannot be sorted or searched.`
      : "";
  setText(byId("rows-note"), text);
  show(byId("rows-note"), text !== "");
}
