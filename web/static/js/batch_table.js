// Batches as a table: a row says what became of one, and offers its files.

import {
  displayName, donePercent, errorsPath, failureReason, finishedAt, isOpen, offers, resultsPath, stateOf, tookSeconds,
} from "./batches.js";
import { el, mirror, setAttribute, setState, setText, show } from "./dom.js";
import { bindDownload } from "./downloads.js";
import { compact, duration, integer, shortModel, utc, when } from "./format.js";
import { icon } from "./icons.js";

/** @typedef {import("./wire.js").Batch} Batch */

/** @typedef {import("./job_row.js").Actions} Actions */

const HEADINGS = [["Batch", ""], ["State", "state-cell"], ["Model", ""], ["Answers", "num"], ["Failed", "num"], ["Tokens", "num"], ["Finished", ""], ["Took", "num"], ["Files", "num"]];

/** Adds a table to `place`.
 * @param {HTMLElement} place @param {Actions} actions */
export function createBatchTable(place, actions) {
  const body = el("tbody");
  const head = el("tr", {}, ...HEADINGS.map(([word, kind]) => el("th", { scope: "col", class: kind || null }, word)));
  const table = el("table", { class: "stack", hidden: true }, el("thead", {}, head), body);
  place.append(table);
  return {
    /** @param {Batch[]} batches @param {{ oneState?: boolean }} [options] with one state, its column says nothing */
    update(batches, { oneState = false } = {}) {
      mirror(body, batches, (batch) => batch.id, () => createBatchRow(actions));
      show(table, batches.length > 0);
      table.classList.toggle("one-state", oneState);
    },
  };
}

/** @param {Actions} actions @returns {import("./dom.js").View} */
function createBatchRow(actions) {
  const at = createCells();
  /** @type {Batch} */
  let current;
  at.retry.addEventListener("click", () => actions.retry(current));
  return {
    node: at.row,
    /** @param {Batch} batch */
    update(batch) {
      current = batch;
      updateCells(at, batch);
      updateButtons(at, batch, actions);
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
    tokens: cell("Tokens", "num"),
    finished: cell("Finished", "nowrap"),
    took: cell("Took", "num nowrap"),
    retry: el("button", { type: "button", class: "quiet", title: "Run what ended without an answer again, as a new batch" }, icon("retry"), "Retry"),
    errors: el("a", { class: "button quiet" }, "Errors"),
    resultsWord: el("span"),
    results: el("a", { class: "button" }, icon("download")),
  };
  at.results.append(at.resultsWord);
  const state = cell("State", "state-cell");
  state.append(at.state);
  const name = el("td", { class: "name" }, at.name, " ", at.id, " ", at.why);
  const files = el("td", {}, el("span", { class: "actions" }, at.retry, at.errors, at.results));
  const row = el("tr", {}, name, state, at.model, at.answers, at.failed, at.tokens, at.finished, at.took, files);
  return { ...at, row };
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
  setAttribute(at.answers, "title", `${integer(batch.request_counts.completed)} of ${integer(batch.request_counts.total)}`);
  setText(at.failed, integer(batch.request_counts.failed));
  setAttribute(at.failed, "class", batch.request_counts.failed > 0 ? "num bad-text" : "num");
  setText(at.tokens, batch.usage ? compact(batch.usage.total_tokens) : "–");
  const end = finishedAt(batch);
  setText(at.finished, end === null && isOpen(batch) ? `${donePercent(batch)} done` : when(end, new Date()));
  setAttribute(at.finished, "title", utc(end) || null);
  setText(at.took, duration(tookSeconds(batch)));
}

/** @param {Record<string, any>} at @param {Batch} batch @param {Actions} actions */
function updateButtons(at, batch, actions) {
  const offer = offers(batch);
  const name = displayName(batch);
  const word = offer.results === "partial" ? "Partial results" : "Download Results";
  show(at.results, offer.results !== null);
  setText(at.resultsWord, word);
  setAttribute(at.results, "aria-label", `${word} of ${name}`);
  if (offer.results) bindDownload(at.results, resultsPath(batch), `${batch.id}_output.jsonl`, actions.failed);
  show(at.errors, offer.errors);
  setAttribute(at.errors, "aria-label", `Errors of ${name}`);
  if (offer.errors) bindDownload(at.errors, errorsPath(batch), `${batch.id}_errors.jsonl`, actions.failed);
  show(at.retry, offer.retry);
  setAttribute(at.retry, "aria-label", `Retry ${name}`);
}
