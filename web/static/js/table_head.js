// The heads of the columns: a click sorts, the dots open the column's menu, the edge sizes, dragging moves.

import { boundedWidth, LEAST_WIDTH, MOST_WIDTH } from "./columns.js";
import { el, icon, mirror, setAttribute, setText } from "./dom.js";

/** @typedef {import("./columns.js").Column} Column */
/** @typedef {import("./table_place.js").TablePlace} TablePlace */
/** @typedef {{ column: Column, place: TablePlace }} Head */
/**
 * @typedef {{
 *   sort: (id: string) => void, open: (column: Column, opener: HTMLElement) => void,
 *   size: (id: string, width: number, isDone: boolean) => void, move: (id: string, beside: string) => void,
 * }} HeadActions `isDone` false: a pointer is still held
 */

const STEP = 16;

/** @param {HTMLElement} row @param {HeadActions} actions */
export function createHead(row, actions) {
  return {
    /** @param {Column[]} columns @param {TablePlace} place */
    update(columns, place) {
      mirror(row, columns.map((column) => ({ column, place })), ({ column }) => column.id, (head) => createHeadCell(head.column, actions));
    },
    /** @param {number[]} widths */
    sizes(widths) {
      row.querySelectorAll(".edge").forEach((edge, index) => setAttribute(edge, "aria-valuenow", String(widths[index])));
    },
  };
}

/** @param {Column} first @param {HeadActions} actions @returns {import("./dom.js").View} */
function createHeadCell(first, actions) {
  const { id, title } = first;
  const word = el("span", { class: "word" });
  const sort = el("button", { type: "button", class: "sort", title }, word);
  const menu = el("button", { type: "button", class: "quiet icon-only menu", "aria-haspopup": "dialog" }, icon("dots"));
  const node = el("th", { scope: "col", draggable: id === "custom_id" ? null : "true" }, sort, menu, edgeOf(first, actions));
  let column = first;
  sort.addEventListener("click", () => actions.sort(id));
  menu.addEventListener("click", () => actions.open(column, menu));
  makeMovable(node, id, actions);
  return {
    node,
    /** @param {Head} head */
    update({ column: now, place }) {
      column = now;
      setText(word, now.title);
      const isFiltered = place.where.some((one) => one.column === id) || (id === "status" && place.status !== "");
      setAttribute(node, "class", [now.kind === "number" && "num", isFiltered && "filtered"].filter(Boolean).join(" ") || null);
      setAttribute(node, "aria-sort", place.sort === id ? "ascending" : place.sort === `-${id}` ? "descending" : null);
      setAttribute(menu, "aria-label", `Column ${now.title}${isFiltered ? ", filtered" : ""}: menu`);
    },
  };
}

/** The edge between two columns, for pointer and arrow keys.
 * @param {Column} column @param {HeadActions} actions */
function edgeOf({ id, title }, actions) {
  const edge = el("span", {
    class: "edge", role: "separator", tabindex: "0", "aria-orientation": "vertical", "aria-label": `Width of ${title}`,
    "aria-valuemin": String(LEAST_WIDTH), "aria-valuemax": String(MOST_WIDTH), "aria-valuenow": String(LEAST_WIDTH),
  });
  const width = () => edge.parentElement.offsetWidth;
  edge.addEventListener("pointerdown", (/** @type {PointerEvent} */ down) => {
    down.preventDefault();
    const start = width();
    edge.setPointerCapture(down.pointerId);
    const at = (/** @type {PointerEvent} */ event) => boundedWidth(start + event.clientX - down.clientX);
    edge.onpointermove = (/** @type {PointerEvent} */ event) => actions.size(id, at(event), false);
    edge.onlostpointercapture = () => (edge.onpointermove = edge.onpointerup = null);
    edge.onpointerup = (/** @type {PointerEvent} */ event) => event.clientX !== down.clientX && actions.size(id, at(event), true);
  });
  edge.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    actions.size(id, boundedWidth(width() + step), true);
  });
  return edge;
}

let dragged = "";

/** @param {HTMLElement} node @param {string} id @param {HeadActions} actions */
function makeMovable(node, id, actions) {
  node.addEventListener("dragstart", (event) => {
    dragged = id;
    event.dataTransfer?.setData("text/plain", id);
  });
  node.addEventListener("dragover", (event) => {
    if (!dragged || dragged === id || id === "custom_id") return;
    event.preventDefault();
    node.classList.add("over");
  });
  for (const end of ["dragleave", "drop"]) node.addEventListener(end, () => node.classList.remove("over"));
  node.addEventListener("drop", (event) => {
    event.preventDefault();
    if (dragged && dragged !== id) actions.move(dragged, id);
  });
  node.addEventListener("dragend", () => (dragged = ""));
}
