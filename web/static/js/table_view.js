// Many answers as a table: fields of their JSON become columns to sort by; a page of rows at a time.

import { readAnswers } from "./answers.js";
import { batchesWithAnswers, fillPicker } from "./batch_picker.js";
import { byColumn, fieldColumns, FIXED, toCsv } from "./columns.js";
import { byId, el, setAttribute, setText, show } from "./dom.js";
import { saveBlob } from "./downloads.js";
import { integer, plural } from "./format.js";
import { createNotice, messageOf } from "./notice.js";

/** @typedef {import("./answers.js").ReadAnswer} ReadAnswer */
/** @typedef {import("./columns.js").Column} Column */

const MAX_ROWS = 10_000;
const PAGE_SIZE = 50;

const notice = createNotice();
let loading = new AbortController();
/** @type {ReadAnswer[]} */
let answers = [];
/** @type {Column[]} */
let columns = FIXED;
/** @type {Set<string>} */
let hidden = new Set();
/** @type {{ column: string, direction: 1 | -1 } | null} */
let sorting = null;
let firstRow = 0;

function batchId() {
  return new URLSearchParams(location.search).get("batch");
}

async function load() {
  loading.abort();
  loading = new AbortController();
  const { signal } = loading;
  const id = batchId();
  byId("picker").value = id ?? "";
  answers = [];
  firstRow = 0;
  notice.hide();
  if (!id) return draw();
  setText(byId("count"), "reading …");
  try {
    const read = await readAnswers(id, { maxRows: MAX_ROWS, signal, onProgress: (rows) => setText(byId("count"), `${integer(rows)} read …`) });
    answers = read.answers;
    columns = [...FIXED.slice(0, 1), ...fieldColumns(answers), ...FIXED.slice(1)];
    if (read.cut) notice.say("", `These are the first ${integer(MAX_ROWS)} answers of this batch. The download has all of them.`);
    draw();
  } catch (error) {
    if (!signal.aborted) notice.say("bad", messageOf(error));
  }
}

function shownColumns() {
  return columns.filter(({ id }) => !hidden.has(id));
}

/** The rows that match the filter, in the chosen order. */
function shownRows() {
  const wanted = byId("filter").value.toLowerCase();
  const rows = wanted ? answers.filter((answer) => answer.text.toLowerCase().includes(wanted) || answer.customId.toLowerCase().includes(wanted)) : answers;
  const column = sorting && columns.find(({ id }) => id === sorting?.column);
  return column && sorting ? [...rows].sort(byColumn(column, sorting.direction)) : rows;
}

function draw() {
  const rows = shownRows();
  if (firstRow >= rows.length) firstRow = 0;
  const page = rows.slice(firstRow, firstRow + PAGE_SIZE);
  drawColumnChoice();
  byId("head").replaceChildren(...shownColumns().map(headCell));
  byId("rows").replaceChildren(...page.map((answer) => el("tr", {}, ...shownColumns().map((column) => cell(column, answer)))));
  setAttribute(byId("answers"), "aria-rowcount", String(rows.length + 1));
  show(byId("answers"), page.length > 0);
  show(byId("empty"), page.length === 0);
  setText(byId("empty-title"), answers.length > 0 ? "No answer matches" : batchId() ? "This batch has no answers" : "Choose a batch");
  setText(byId("count"), batchId() ? plural(rows.length, "answer") : "");
  setText(byId("range"), page.length > 0 ? `${integer(firstRow + 1)} – ${integer(firstRow + page.length)} of ${integer(rows.length)}` : "");
  show(byId("pager"), rows.length > PAGE_SIZE);
  byId("previous").disabled = firstRow === 0;
  byId("next").disabled = firstRow + PAGE_SIZE >= rows.length;
  byId("csv").disabled = rows.length === 0;
}

/** @param {Column} column */
function headCell(column) {
  const sorted = sorting?.column === column.id ? sorting.direction : 0;
  const button = el("button", { type: "button", class: "sort" }, column.title, el("span", { "aria-hidden": "true" }, sorted === 1 ? "▲" : sorted === -1 ? "▼" : ""));
  button.addEventListener("click", () => {
    sorting = { column: column.id, direction: sorted === 1 ? -1 : 1 };
    draw();
    byId("head").querySelectorAll("button")[shownColumns().indexOf(column)]?.focus();
  });
  const order = sorted === 1 ? "ascending" : sorted === -1 ? "descending" : null;
  return el("th", { scope: "col", class: column.numeric ? "num" : null, "aria-sort": order }, button);
}

/** @param {Column} column @param {ReadAnswer} answer */
function cell(column, answer) {
  const value = column.value(answer);
  const text = value === null ? "" : typeof value === "number" ? String(value) : value;
  if (column.id === "custom_id") return el("th", { scope: "row", class: "mono row-head" }, text);
  if (column.id !== "answer") return el("td", { class: column.numeric ? "num" : "value" }, el("span", { class: "clip" }, text));
  return el("td", { class: "wide" }, el("details", {}, el("summary", { class: "clip" }, text.slice(0, 300)), el("div", { class: "answer" }, text)));
}

function drawColumnChoice() {
  const boxes = columns.map((column) => {
    const box = el("input", { type: "checkbox", checked: !hidden.has(column.id), id: `column-${column.id}` });
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(column.id);
      else hidden.add(column.id);
      draw();
      document.getElementById(box.id)?.focus();
    });
    return el("label", { for: box.id }, box, column.title);
  });
  byId("columns").replaceChildren(...boxes);
}

function saveCsv() {
  saveBlob(new Blob(["\ufeff", toCsv(shownColumns(), shownRows())], { type: "text/csv" }), `${batchId()}.csv`);
}

/** @param {number} rows */
function turn(rows) {
  firstRow = Math.max(0, firstRow + rows);
  draw();
  byId("scroll").scrollTop = 0;
}

byId("picker").addEventListener("change", () => {
  history.pushState(null, "", byId("picker").value ? `?batch=${encodeURIComponent(byId("picker").value)}` : "?");
  void load();
});
byId("filter").addEventListener("input", () => {
  firstRow = 0;
  draw();
});
byId("previous").addEventListener("click", () => turn(-PAGE_SIZE));
byId("next").addEventListener("click", () => turn(PAGE_SIZE));
byId("csv").addEventListener("click", saveCsv);
addEventListener("popstate", () => void load());
try {
  fillPicker(byId("picker"), await batchesWithAnswers(), batchId());
} catch (error) {
  notice.say("bad", messageOf(error));
}
await load();
