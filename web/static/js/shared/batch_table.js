// Batches as a table: a row says what became of one, and offers its files; below it, when asked, its errors.

import { bindDownload } from "./api.js";
import {
  createErrorsPlace,
  createErrorsSwitch,
  createMenuButton,
  createPick,
  hasErrors,
  setSize,
} from "./batch_rows.js";
import {
  csvPath,
  displayName,
  donePercent,
  errorsPath,
  failureReason,
  finishedAt,
  isOpen,
  offers,
  resultsPath,
  stateOf,
  tookSeconds,
} from "./batches.js";
import { el, icon, reconcile, setAttribute, setState, setText, show } from "./dom.js";
import { bytes, compact, duration, integer, shortModel, utc, when } from "./format.js";

/** @typedef {import("./wire.js").Batch} Batch */
/** @typedef {import("./batch_rows.js").Actions} Actions */
/** @typedef {import("./batch_rows.js").Extras} Extras */
/** @typedef {{ batch: Batch, errors: boolean, open: boolean }} Item a batch's row, or the one with its errors */

const RETRY = "Run what ended without an answer again, as a new batch";
const HEADINGS = [
  ["Batch", ""],
  ["State", "state-cell"],
  ["Model", ""],
  ["Answers", "num"],
  ["Failed", "num"],
  ["Tokens", "num"],
  ["Finished", ""],
  ["Files", "num"],
];

/** Adds a table to `place`.
 * @param {HTMLElement} place @param {Actions} actions @param {Extras} [extras] */
export function createBatchTable(place, actions, extras = {}) {
  const body = el("tbody");
  const all = extras.selection && createPickAll(extras.selection, () => batches);
  const head = el(
    "tr",
    {},
    all ? el("td", { class: "pick-cell" }, all.node) : null,
    ...HEADINGS.map(([word, kind]) => el("th", { scope: "col", class: kind || null }, word)),
  );
  const table = el("table", { class: "stack", hidden: true }, el("thead", {}, head), body);
  /** @type {Batch[]} */
  let batches = [];
  /** @type {Set<string>} */
  const opened = new Set();
  place.append(table);

  /** @param {string} id @param {boolean} open */
  function toggle(id, open) {
    if (open) opened.add(id);
    else opened.delete(id);
    draw();
  }

  function draw() {
    /** @type {Item[]} */
    const items = [];
    for (const batch of batches) {
      const open = opened.has(batch.id) && hasErrors(batch);
      items.push({ batch, errors: false, open });
      if (open) items.push({ batch, errors: true, open });
    }
    reconcile(body, items, keyOf, ({ errors }) =>
      errors ? createErrorsRow(actions, head.children.length) : createBatchRow(actions, extras, toggle),
    );
  }

  return {
    /** @param {Batch[]} shown @param {{ oneState?: boolean }} [options] with one state, its column says nothing */
    update(shown, { oneState = false } = {}) {
      batches = shown;
      draw();
      show(table, batches.length > 0);
      table.classList.toggle("one-state", oneState);
      all?.update();
    },
  };
}

/** @param {Item} item */
function keyOf({ batch, errors }) {
  return errors ? `${batch.id} errors` : batch.id;
}

/** @param {import("./batch_rows.js").Selection} selection @param {() => Batch[]} shown */
function createPickAll(selection, shown) {
  const box = el("input", { type: "checkbox", "aria-label": "Select all that are shown" });
  box.addEventListener("change", () => selection.choose(shown(), box.checked));
  return {
    node: el("label", { class: "pick" }, box),
    update() {
      const count = shown().filter(({ id }) => selection.has(id)).length;
      box.checked = count > 0 && count === shown().length;
      box.indeterminate = count > 0 && count < shown().length;
    },
  };
}

/** @param {Actions} actions @param {number} columns @returns {import("./dom.js").View} */
function createErrorsRow(actions, columns) {
  const cell = el("td", { colspan: String(columns), class: "wide" });
  const groups = createErrorsPlace(cell, actions);
  return {
    node: el("tr", { class: "errors-row" }, cell),
    update: (/** @type {Item} */ { batch }) => groups.update(batch),
  };
}

/** @param {Actions} actions @param {Extras} extras @param {(id: string, open: boolean) => void} toggle
 * @returns {import("./dom.js").View} */
function createBatchRow(actions, { selection, fillMenu }, toggle) {
  const at = createCells();
  /** @type {Batch} */
  let current;
  at.retry.addEventListener("click", () => actions.retry(current));
  at.cancel.addEventListener("click", () => actions.cancel(current));
  const errors = createErrorsSwitch((open) => toggle(current.id, open));
  at.failed.append(errors.node);
  const pick = selection && createPick(selection);
  const menu = fillMenu && createMenuButton(fillMenu);
  if (pick) at.row.prepend(el("td", { class: "pick-cell" }, pick.node));
  if (menu) at.last.append(menu.node);
  return {
    node: at.row,
    /** @param {Item} item */
    update({ batch, open }) {
      current = batch;
      updateCells(at, batch);
      updateButtons(at, batch, actions);
      show(at.failedCount, !hasErrors(batch));
      show(errors.node, hasErrors(batch));
      errors.update(batch, integer(batch.request_counts.failed), open);
      pick?.update(batch);
      menu?.update(batch);
    },
  };
}

/** @returns {Record<string, any>} */
function createCells() {
  /** @param {string} label @param {string | null} [kind] */
  const cell = (label, kind = null) => el("td", { "data-label": label, class: kind });
  const at = {
    name: el("a"),
    id: el("span", { class: "mono small muted" }),
    why: el("span", { class: "why small clip" }),
    state: el("span"),
    model: cell("Model", "model"),
    answers: cell("Answers", "num"),
    failed: cell("Failed", "num"),
    failedCount: el("span"),
    tokens: cell("Tokens", "num"),
    finished: cell("Finished", "nowrap"),
    at: el("span"),
    took: el("span", { class: "small muted" }),
  };
  const buttons = createButtons();
  at.failed.append(at.failedCount);
  at.finished.append(at.at, " ", at.took);
  const state = cell("State", "state-cell");
  state.append(at.state);
  const name = el("td", { class: "name" }, at.name, " ", at.id, " ", at.why);
  const row = el(
    "tr",
    {},
    name,
    state,
    at.model,
    at.answers,
    at.failed,
    at.tokens,
    at.finished,
    el("td", {}, buttons.actions),
  );
  return { ...at, ...buttons, row };
}

/** @returns {Record<string, any>} */
function createButtons() {
  const at = {
    retry: el("button", { type: "button", class: "quiet icon-only" }, icon("retry")),
    cancel: el("button", { type: "button", class: "quiet" }, "Cancel"),
    errorsSize: el("span", { class: "size" }),
    resultsWord: el("span"),
    resultsSize: el("span", { class: "size" }),
    csv: el("a", { class: "button quiet", title: "The answers as a table for a spreadsheet" }, "CSV"),
  };
  const errors = el("a", { class: "button quiet" }, "Errors", at.errorsSize);
  const results = el("a", { class: "button" }, icon("download"), at.resultsWord, at.resultsSize);
  const last = el("span", { class: "actions last" }, results); // with the menu, on one line
  return {
    ...at,
    errors,
    results,
    last,
    actions: el("span", { class: "actions" }, at.retry, at.cancel, errors, at.csv, last),
  };
}

/** @param {Record<string, any>} at @param {Batch} batch */
function updateCells(at, batch) {
  setText(at.name, displayName(batch));
  setAttribute(at.name, "href", `index.html?batch=${encodeURIComponent(batch.id)}`);
  setText(at.id, batch.id);
  const reason = failureReason(batch);
  show(at.why, reason !== null);
  setText(at.why, reason ?? "");
  setAttribute(at.why, "title", reason);
  setState(at.state, stateOf(batch));
  setText(at.model, shortModel(batch.model));
  setAttribute(at.model, "title", batch.model);
  setText(at.answers, integer(batch.request_counts.completed));
  setAttribute(
    at.answers,
    "title",
    `${integer(batch.request_counts.completed)} of ${integer(batch.request_counts.total)}`,
  );
  setText(at.failedCount, integer(batch.request_counts.failed));
  setAttribute(at.failed, "class", batch.request_counts.failed > 0 ? "num bad-text" : "num");
  setText(at.tokens, batch.usage ? compact(batch.usage.total_tokens) : "–");
  const end = finishedAt(batch);
  setText(at.at, end === null && isOpen(batch) ? `${donePercent(batch)} done` : when(end, new Date()));
  setAttribute(at.finished, "title", utc(end) || null);
  const took = tookSeconds(batch);
  setText(at.took, took === null ? "" : `took ${duration(took)}`);
}

/** @param {Record<string, any>} at @param {Batch} batch @param {Actions} actions */
function updateButtons(at, batch, actions) {
  const offer = offers(batch);
  const name = displayName(batch);
  const word = offer.results === "partial" ? "Partial results" : "Download Results";
  show(at.results, offer.results !== null);
  setText(at.resultsWord, word);
  setSize(at.resultsSize, batch.output_bytes == null ? "" : bytes(batch.output_bytes));
  setAttribute(at.results, "aria-label", `${word} of ${name}`);
  show(at.csv, offer.results !== null);
  setAttribute(at.csv, "aria-label", `CSV of ${name}`);
  if (offer.results) bindDownload(at.results, resultsPath(batch), `${batch.id}_output.jsonl`, actions.failed);
  if (offer.results) bindDownload(at.csv, csvPath(batch), `${batch.id}_answers.csv`, actions.failed);
  show(at.errors, offer.errors);
  setSize(at.errorsSize, batch.error_bytes == null ? "" : bytes(batch.error_bytes));
  setAttribute(at.errors, "aria-label", `Errors of ${name}`);
  setAttribute(at.errors, "title", batch.error_bytes == null ? null : bytes(batch.error_bytes));
  if (offer.errors) bindDownload(at.errors, errorsPath(batch), `${batch.id}_errors.jsonl`, actions.failed);
  show(at.retry, offer.retry);
  setAttribute(at.retry, "aria-label", `Retry ${name}`);
  setAttribute(
    at.retry,
    "title",
    batch.retried_by.length > 0 ? `${RETRY} (already retried as ${batch.retried_by.join(", ")})` : RETRY,
  );
  show(at.cancel, offer.cancel);
  setAttribute(at.cancel, "aria-label", `Cancel ${name}`);
}
