// The table itself: of all rows only those in sight are in the document, between two empty rows that hold the room.

import { requestState } from "../shared/batches.js";
import { byId, el, reconcile, setAttribute, setState, show } from "../shared/dom.js";
import { cellText, columnWidths, naturalWidth } from "./columns.js";
import { createHead, isFirstOf } from "./frame.js";
import { rowsAt } from "./row_pages.js";
import { isJoined } from "./url_state.js";

/** @typedef {import("./columns.js").Column} Column */
/** @typedef {import("../shared/wire.js").JoinedRow} Row */
/** @typedef {import("./url_state.js").TablePlace} TablePlace */
/** @typedef {{ place: TablePlace, columns: Column[], total: number, row: (index: number) => Row | null }} Shown */
/** @typedef {{ index: number, row: Row | null, shown: Shown, isFound: boolean }} Line */

/** Kept in step with the style sheet, where --row-height is set by these. */
const ROW_HEIGHT = 34;
const WRAPPED_ROW_HEIGHT = 88;
/** Beside other batches words get less room: there is more to see at once.
 * @type {Record<string, number>} */
const MOST_BESIDE = { text: 190, answer: 260 };

/**
 * @param {import("./frame.js").HeadActions & { scrolled: () => void }} actions
 */
export function createGrid(actions) {
  const region = byId("scroll");
  const head = createHead(byId("head"), {
    ...actions,
    size: (id, width, isDone) => (isDone ? actions.size(id, width, true) : layOut({ [id]: width })),
  });
  /** @type {Shown | null} */
  let shown = null;
  let found = -1;
  let isAsked = false;
  let batches = "";
  /** @type {Map<string, number>} kept, so that columns stay as wide when other rows come */
  const natural = new Map();

  function rowHeight() {
    return shown?.place.wrap ? WRAPPED_ROW_HEIGHT : ROW_HEIGHT;
  }

  function view() {
    const height = region.clientHeight - byId("answers").tHead.offsetHeight;
    return rowsAt({
      top: region.scrollTop,
      height,
      rowHeight: rowHeight(),
      total: shown?.total ?? 0,
      columns: shown?.columns.length ?? 1,
    });
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
    reconcile(byId("rows"), lines, ({ index }) => String(index), createLine);
  }

  /** The rows in the document that are read. */
  function rows() {
    const { first, end } = view().drawn;
    return Array.from({ length: end - first }, (_, n) => shown?.row(first + n) ?? null).filter(
      (row) => row !== null,
    );
  }

  /** @param {Column} column */
  function naturalOf(column) {
    const known = natural.get(column.id);
    if (known !== undefined) return known;
    const read = rows().filter(
      ({ answers }) => column.path === null || column.path in (answers[column.batch]?.values ?? {}),
    );
    const width = Math.min(
      naturalWidth(column, read),
      shown && isJoined(shown.place) ? (MOST_BESIDE[column.kind] ?? Infinity) : Infinity,
    );
    if (read.length > 0) natural.set(column.id, width);
    return width;
  }

  /** @param {Record<string, number>} [sizing] what a pointer is about to choose */
  function layOut(sizing = {}) {
    if (!shown) return;
    const chosen = { ...shown.place.widths, ...sizing };
    const widths = columnWidths(shown.columns, {
      chosen,
      natural: shown.columns.map(naturalOf),
      room: region.clientWidth,
    });
    for (const [index, width] of widths.entries()) setLengths(`#answers .c${index}`, { width });
    setLengths("#answers", {
      width: widths.reduce((sum, width) => sum + width, 0),
      "--row-height": rowHeight(),
    });
    head.sizes(widths);
    setLengths("#groups .group", {
      left: widths[0],
      "max-width": Math.max(90, region.clientWidth - widths[0]),
    });
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
      if (String(place.batches) !== batches) natural.clear();
      batches = String(place.batches);
      drawCols(columns);
      head.update(columns, place);
      byId("answers").classList.toggle("wrap", place.wrap);
      setAttribute(byId("answers"), "aria-rowcount", String(total + headRows(place)));
      setAttribute(byId("head"), "aria-rowindex", String(headRows(place)));
      byId("answers").classList.toggle("joined", isJoined(place));
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

/** One group of columns per batch, beside the custom_id's.
 * @param {Column[]} columns */
function drawCols(columns) {
  const groups = columns.map(({ batch }, index) =>
    columns.some((one) => one.batch > 0) && index > 0 ? batch + 1 : 0,
  );
  const table = byId("answers");
  if (table.dataset.groups === String(groups)) return;
  table.dataset.groups = String(groups);
  for (const old of table.querySelectorAll("colgroup")) old.remove();
  const cols = columns.map((_, index) => el("col", { class: `c${index}` }));
  table.prepend(
    ...[...new Set(groups)].map((group) =>
      el("colgroup", {}, ...cols.filter((_, index) => groups[index] === group)),
    ),
  );
}

/** @param {TablePlace} place */
function headRows(place) {
  return isJoined(place) ? 2 : 1;
}

/** @param {"above" | "below"} id @param {number} height */
function hold(id, height) {
  show(byId(id), height > 0);
  setLengths(`#${id} td`, { height });
}

/** @returns {import("../shared/dom.js").View} */
function createLine() {
  const node = el("tr");
  let drawn = "";
  /** @type {Line | null} */
  let now = null;
  node.addEventListener("click", (/** @type {MouseEvent} */ event) => now && openRow(event, now));
  return {
    node,
    /** @param {Line} line */
    update(line) {
      now = line;
      const { index, row, shown, isFound } = line;
      setAttribute(node, "aria-rowindex", String(index + 1 + headRows(shown.place)));
      setAttribute(node, "class", isFound ? "found" : null);
      const { columns, place } = shown;
      const look =
        row === null
          ? `waiting ${columns.length}`
          : JSON.stringify([row, place.wrap, columns.map(({ id }) => id)]);
      if (look === drawn) return;
      drawn = look;
      node.replaceChildren(
        ...columns.map((column) =>
          row === null ? waitingCell(column, index) : cell(column, row, index, place),
        ),
      );
      for (const at of columns.keys()) {
        if (isFirstOf(columns, at, place)) node.children[at].classList.add("first");
      }
    },
  };
}

/** @param {Column} column @param {number} index */
function waitingCell(column, index) {
  if (column.kind === "id") return el("th", { scope: "row" }, el("span", { class: "at" }, String(index + 1)));
  return el("td", { class: "waiting" });
}

/** @param {Column} column @param {Row} row @param {number} index @param {TablePlace} place */
function cell(column, row, index, place) {
  const text = cellText(column, row);
  if (column.kind === "id") {
    const href = addressOf(row, Math.max(0, row.answers.findIndex(Boolean)), place);
    return el(
      "th",
      { scope: "row", title: text },
      el("span", { class: "at" }, String(index + 1)),
      el("a", { class: "mono", href }, text),
    );
  }
  const answer = row.answers[column.batch];
  if (answer === null) return el("td", { class: "absent" });
  if (column.kind === "state") {
    const state = el("span");
    setState(state, requestState(answer.status));
    return el("td", {}, state);
  }
  const title = text.length > 12 ? text : null;
  return el(
    "td",
    { class: column.kind === "number" ? "num" : null, title },
    place.wrap && column.kind !== "number" ? el("div", {}, text) : text,
  );
}

/** Where the answer of one of the batches is shown with all that belongs to it.
 * @param {Row} row @param {number} batch @param {TablePlace} place */
function addressOf(row, batch, place) {
  return `index.html?${new URLSearchParams({ batch: place.batches[batch], line: String(row.answers[batch]?.line) })}`;
}

/** A click anywhere on a row leads to the answer that is there, unless it ended the selecting of text.
 * @param {MouseEvent} event @param {Line} line */
function openRow(event, { row, shown }) {
  const target = /** @type {Element} */ (event.target);
  const cell = /** @type {HTMLTableCellElement | null} */ (target.closest("td"));
  if (row === null || target.closest("a") || getSelection()?.isCollapsed === false) return;
  const batch = cell ? shown.columns[cell.cellIndex].batch : 0;
  const shownRow = /** @type {Element} */ (event.currentTarget);
  if (row.answers[batch]) location.assign(addressOf(row, batch, shown.place));
  else shownRow.querySelector("a")?.click();
}

/** Sizes that only the running page knows are rules of a style sheet of their own: the policy forbids style attributes.
 * @type {CSSStyleSheet | null} */
let sheet = null;
/** @type {Map<string, CSSStyleRule>} */
const rules = new Map();

/** @param {string} selector @param {Record<string, number>} lengths property → pixels */
export function setLengths(selector, lengths) {
  const rule = rules.get(selector) ?? newRule(selector);
  for (const [name, pixels] of Object.entries(lengths)) {
    const value = `${pixels}px`;
    if (rule.style.getPropertyValue(name) !== value) rule.style.setProperty(name, value);
  }
}

/** @param {string} selector */
function newRule(selector) {
  if (sheet === null) {
    sheet = new CSSStyleSheet();
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  }
  const rule = /** @type {CSSStyleRule} */ (
    sheet.cssRules[sheet.insertRule(`${selector} {}`, sheet.cssRules.length)]
  );
  rules.set(selector, rule);
  return rule;
}
