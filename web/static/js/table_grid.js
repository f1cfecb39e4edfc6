// The table itself: of all rows only those in sight are in the document, between two empty rows that hold the room.

import { requestState } from "./batches.js";
import { cellText, columnWidths, naturalWidth } from "./columns.js";
import { byId, el, mirror, setAttribute, setState, show } from "./dom.js";
import { createHead } from "./table_head.js";
import { setLengths } from "./table_sheet.js";
import { rowsAt } from "./table_window.js";

/** @typedef {import("./columns.js").Column} Column */
/** @typedef {import("./wire.js").AnswerRow} AnswerRow */
/** @typedef {import("./table_place.js").TablePlace} TablePlace */
/** @typedef {{ place: TablePlace, columns: Column[], total: number, row: (index: number) => AnswerRow | null }} Shown */
/** @typedef {{ index: number, row: AnswerRow | null, shown: Shown, isFound: boolean }} Line */

/** Kept in step with the style sheet, where --row-height is set by these. */
const ROW_HEIGHT = 34;
const WRAPPED_ROW_HEIGHT = 88;

/**
 * @param {import("./table_head.js").HeadActions & { scrolled: () => void }} actions
 */
export function createGrid(actions) {
  const region = byId("scroll");
  const head = createHead(byId("head"), { ...actions, size: (id, width, isDone) => (isDone ? actions.size(id, width, true) : layOut({ [id]: width })) });
  /** @type {Shown | null} */
  let shown = null;
  let found = -1;
  let isAsked = false;
  let batch = "";
  /** @type {Map<string, number>} kept, so that columns stay as wide when other rows come */
  const natural = new Map();

  function rowHeight() {
    return shown?.place.wrap ? WRAPPED_ROW_HEIGHT : ROW_HEIGHT;
  }

  function view() {
    const height = region.clientHeight - byId("head").offsetHeight;
    return rowsAt({ top: region.scrollTop, height, rowHeight: rowHeight(), total: shown?.total ?? 0, columns: shown?.columns.length ?? 1 });
  }

  function drawRows() {
    if (!shown) return;
    const now = shown;
    const { drawn } = view();
    const lines = Array.from({ length: drawn.end - drawn.first }, (_, n) => {
      const index = drawn.first + n;
      return { index, row: now.row(index), shown: now, isFound: index === found };
    });
    hold("above", drawn.first * rowHeight());
    hold("below", (now.total - drawn.end) * rowHeight());
    mirror(byId("rows"), lines, ({ index }) => String(index), createLine);
  }

  /** The rows in the document that are read. */
  function rows() {
    const { first, end } = view().drawn;
    return Array.from({ length: end - first }, (_, n) => shown?.row(first + n) ?? null).filter((row) => row !== null);
  }

  /** @param {Column} column */
  function naturalOf(column) {
    const known = natural.get(column.id);
    if (known !== undefined) return known;
    const read = rows().filter(({ values }) => column.path === null || column.path in values);
    const width = naturalWidth(column, read);
    if (read.length > 0) natural.set(column.id, width);
    return width;
  }

  /** @param {Record<string, number>} [sizing] what a pointer is about to choose */
  function layOut(sizing = {}) {
    if (!shown) return;
    const chosen = { ...shown.place.widths, ...sizing };
    const widths = columnWidths(shown.columns, { chosen, natural: shown.columns.map(naturalOf), room: region.clientWidth });
    widths.forEach((width, index) => setLengths(`#cols > :nth-child(${index + 1})`, { width }));
    setLengths("#answers", { width: widths.reduce((sum, width) => sum + width, 0), "--row-height": rowHeight() });
    head.sizes(widths);
  }

  region.addEventListener("scroll", () => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      drawRows();
      actions.scrolled();
    });
  });
  new ResizeObserver(() => {
    layOut();
    drawRows();
    actions.scrolled();
  }).observe(region);

  return {
    /** @param {Shown} next */
    draw(next) {
      shown = next;
      const { columns, place, total } = next;
      if (place.batch !== batch) natural.clear();
      batch = place.batch;
      mirror(byId("cols"), columns, ({ id }) => id, () => ({ node: el("col"), update() {} }));
      head.update(columns, place);
      byId("answers").classList.toggle("wrap", place.wrap);
      setAttribute(byId("answers"), "aria-rowcount", String(total + 1));
      layOut();
      drawRows();
    },
    view,
    rows,
    /** @param {number} index @param {{ mark?: boolean }} [options] `mark`: this row is what was looked for */
    scrollTo(index, { mark = false } = {}) {
      found = mark ? index : -1;
      region.scrollTop = Math.max(0, mark ? index - 2 : index) * rowHeight();
      drawRows();
    },
  };
}

/** @param {"above" | "below"} id @param {number} height */
function hold(id, height) {
  show(byId(id), height > 0);
  setLengths(`#${id} td`, { height });
}

/** @returns {import("./dom.js").View} */
function createLine() {
  const node = el("tr");
  let drawn = "";
  node.addEventListener("click", openRow);
  return {
    node,
    /** @param {Line} line */
    update({ index, row, shown, isFound }) {
      setAttribute(node, "aria-rowindex", String(index + 2));
      setAttribute(node, "class", isFound ? "found" : null);
      const { columns, place } = shown;
      const look = row === null ? `waiting ${columns.length}` : JSON.stringify([row, place.wrap, columns.map(({ id }) => id)]);
      if (look === drawn) return;
      drawn = look;
      const cells = columns.map((column) => (row === null ? waitingCell(column, index) : cell(column, row, index, place)));
      node.replaceChildren(...cells);
    },
  };
}

/** @param {Column} column @param {number} index */
function waitingCell(column, index) {
  if (column.kind === "id") return el("th", { scope: "row" }, el("span", { class: "at" }, String(index + 1)));
  return el("td", { class: "waiting" });
}

/** @param {Column} column @param {AnswerRow} row @param {number} index @param {TablePlace} place */
function cell(column, row, index, place) {
  const text = cellText(column, row);
  if (column.kind === "id") {
    const href = `index.html?${new URLSearchParams({ batch: place.batch, line: String(row.line) })}`;
    return el("th", { scope: "row", title: text }, el("span", { class: "at" }, String(index + 1)), el("a", { class: "mono", href }, text));
  }
  if (column.kind === "state") {
    const state = el("span");
    setState(state, requestState(row.status));
    return el("td", {}, state);
  }
  const title = text.length > 12 ? text : null;
  return el("td", { class: column.kind === "number" ? "num" : null, title }, place.wrap && column.kind !== "number" ? el("div", {}, text) : text);
}

/** A click anywhere on a row follows its link, unless it ended the selecting of text.
 * @param {MouseEvent} event */
function openRow(event) {
  const target = /** @type {Element} */ (event.target);
  if (target.closest("a") || getSelection()?.isCollapsed === false) return;
  /** @type {Element} */ (event.currentTarget).querySelector("a")?.click();
}
