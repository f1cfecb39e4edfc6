// The requests of a batch as a table: one row per input line, from the ledger or with its answer. A heading sorts.

import { requestState } from "./batches.js";
import { el, mirror, setAttribute, setState, setText, show } from "./dom.js";
import { integer, utc } from "./format.js";
import { hitIn, secondsText } from "./row_reading.js";

/** @typedef {import("./wire.js").RequestRow} RequestRow */
/** @typedef {import("./wire.js").AnswerRow} AnswerRow */
/** @typedef {{ open: (line: number) => void, sort: (first: string) => void, addressOf: (line: number) => string }} TableActions `sort`: the first order of a heading */

const COLUMNS = [
  { id: "line", word: "Line", kind: "num", sorts: "line" },
  { id: "custom_id", word: "custom_id", kind: "", sorts: "custom_id" },
  { id: "status", word: "Status", kind: "", sorts: "status" },
  { id: "answer", word: "Answer", kind: "wide", sorts: "" },
  { id: "finish", word: "Finish", kind: "", sorts: "finish_reason" },
  { id: "input", word: "Tokens in", kind: "num", sorts: "-input_tokens" },
  { id: "output", word: "Tokens out", kind: "num", sorts: "-output_tokens" },
  { id: "took", word: "Took", kind: "num", sorts: "-seconds" },
  { id: "attempts", word: "Attempts", kind: "num", sorts: "-attempts" },
];

/** The order after one more press of a heading: its first order, the other way round, that of the file.
 * @param {string} now @param {string} first */
export function nextSort(now, first) {
  if (now === first) return first.startsWith("-") ? first.slice(1) : `-${first}`;
  return now.replace("-", "") === first.replace("-", "") ? "line" : first;
}

/** @param {HTMLElement} place @param {TableActions} actions */
export function createRequestTable(place, actions) {
  const body = el("tbody");
  const heads = COLUMNS.map((column) => createHead(column, actions));
  const table = el("table", { class: "dense requests" }, el("thead", {}, el("tr", {}, ...heads.map(({ node }) => node))), body);
  body.addEventListener("click", (/** @type {MouseEvent} */ event) => openClicked(event, actions));
  place.append(table);
  return {
    /** @param {(RequestRow | AnswerRow)[]} rows @param {{ sort: string, text: string }} question */
    update(rows, { sort, text }) {
      mirror(body, rows.map((row) => ({ row, searched: text })), ({ row }) => String(row.line), () => createRow(actions));
      for (const head of heads) head.update(sort);
      show(table, rows.length > 0);
    },
    /** @param {number | null} line the one that is open */
    mark(line) {
      for (const row of body.children) setAttribute(row, "aria-current", row.dataset.line === String(line) ? "true" : null);
    },
    /** @param {number} line */
    focus(line) {
      body.querySelector(`[data-line="${line}"] a`)?.focus();
    },
    /** @param {1 | -1} step moves the focus from row to row */
    move(step) {
      const links = [...body.querySelectorAll("a")];
      const here = links.indexOf(document.activeElement);
      links[Math.min(links.length - 1, Math.max(0, here < 0 ? 0 : here + step))]?.focus();
    },
  };
}

/** @param {typeof COLUMNS[number]} column @param {TableActions} actions */
function createHead({ word, kind, sorts }, actions) {
  const name = sorts.replace("-", "");
  const button = el("button", { type: "button", class: "sort" }, word);
  const node = el("th", { scope: "col", class: kind || null }, sorts ? button : word);
  button.addEventListener("click", () => actions.sort(sorts));
  return {
    node,
    /** @param {string} sort */
    update(sort) {
      const isOurs = sorts !== "" && sort.replace("-", "") === name;
      setAttribute(node, "aria-sort", isOurs ? (sort.startsWith("-") ? "descending" : "ascending") : null);
    },
  };
}

/** A click anywhere in a row opens it, unless it selects text or asks for a new tab.
 * @param {MouseEvent} event @param {TableActions} actions */
function openClicked(event, actions) {
  const row = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("tr[data-line]"));
  if (!row || event.ctrlKey || event.metaKey || event.shiftKey || getSelection()?.type === "Range") return;
  event.preventDefault();
  actions.open(Number(row.dataset.line));
}

/** @param {TableActions} actions @returns {import("./dom.js").View} */
function createRow(actions) {
  const cells = Object.fromEntries(COLUMNS.map(({ id, word, kind }) => [id, el("td", { class: `${kind} c-${id}`.trim(), "data-label": word })]));
  const state = el("span");
  const link = el("a", { class: "mono" });
  const code = el("b", { class: "bad-text mono" });
  const words = el("span");
  const answer = el("span", { class: "clip" }, code, words);
  cells.status.append(state);
  cells.custom_id.append(link);
  cells.answer.append(answer);
  const node = el("tr", {}, ...Object.values(cells));
  return {
    node,
    /** @param {{ row: RequestRow | AnswerRow, searched: string }} item */
    update({ row, searched }) {
      setAttribute(node, "data-line", String(row.line));
      setText(cells.line, integer(row.line));
      setText(link, row.custom_id);
      setAttribute(link, "href", actions.addressOf(row.line));
      setState(state, requestState(row.status));
      setText(code, row.error_code ? `${row.error_code} ` : "");
      showWords(words, "text" in row ? row.text : "", searched);
      setText(cells.finish, row.finish_reason ?? "");
      setText(cells.input, row.input_tokens ? integer(row.input_tokens) : "");
      setText(cells.output, row.output_tokens ? integer(row.output_tokens) : "");
      setText(cells.took, took(row));
      setAttribute(cells.took, "title", "finished_at" in row ? utc(row.finished_at) || null : null);
      setText(cells.attempts, row.attempts ? integer(row.attempts) : "");
    },
  };
}

/** @param {HTMLElement} place @param {string} text @param {string} searched */
function showWords(place, text, searched) {
  const [before, hit, after] = hitIn(text, searched);
  if (place.textContent === before + hit + after && (hit === "") === (place.firstElementChild === null)) return;
  place.replaceChildren(...(hit ? [before, el("mark", {}, hit), after] : [text]));
}

/** @param {RequestRow | AnswerRow} row */
function took(row) {
  const seconds = "seconds" in row ? row.seconds : row.started_at == null || row.finished_at == null ? null : Math.max(0, row.finished_at - row.started_at);
  return seconds === null ? "" : secondsText(seconds);
}
