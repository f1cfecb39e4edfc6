// What stands around the rows: the heads of the columns, and the counts, tools and words above and below.

import { choiceOf, displayName, isOpen, letterOf, MOST_BATCHES } from "../shared/batches.js";
import { byId, el, icon, reconcile, setAttribute, setText, show } from "../shared/dom.js";
import { integer, plural } from "../shared/format.js";
import { isForPage } from "../shared/page.js";
import { boundedWidth, LEAST_WIDTH, MOST_WIDTH } from "./columns.js";
import { batchQuery, isJoined, isNarrowed, withoutFilters } from "./url_state.js";

/** @typedef {import("./columns.js").Column} Column */
/** @typedef {import("./url_state.js").TablePlace} TablePlace */
/** @typedef {import("./row_pages.js").Extent} Extent */
/** @typedef {import("../shared/wire.js").Batch} Batch */
/** @typedef {{ column: Column, place: TablePlace, isFirst: boolean }} Head */
/**
 * @typedef {{
 *   sort: (id: string) => void, open: (column: Column, opener: HTMLElement) => void,
 *   size: (id: string, width: number, isDone: boolean) => void, move: (id: string, beside: string) => void,
 * }} HeadActions `isDone` false: a pointer is still held
 */
/** @typedef {{ place: TablePlace, batches: Batch[], extent: Extent | null, isLoading: boolean }} State */
/** @typedef {{ title: string, text: string, clear?: boolean }} EmptyWords */

const STEP = 16;
const TYPING_PAUSE_MS = 60;

/** @param {HTMLElement} row @param {HeadActions} actions */
export function createHead(row, actions) {
  return {
    /** @param {Column[]} columns @param {TablePlace} place */
    update(columns, place) {
      reconcile(
        row,
        columns.map((column, at) => ({ column, place, isFirst: isFirstOf(columns, at, place) })),
        ({ column }) => column.id,
        (head) => createHeadCell(head, actions),
      );
    },
    /** @param {number[]} widths */
    sizes(widths) {
      for (const [index, edge] of row.querySelectorAll(".edge").entries()) {
        setAttribute(edge, "aria-valuenow", String(widths[index]));
      }
    },
  };
}

/** @param {Head} head @param {HeadActions} actions @returns {import("../shared/dom.js").View} */
function createHeadCell({ column: first, place }, actions) {
  const { id, title } = first;
  const name = fullName(first, place);
  const word = el("span", { class: "word" });
  const sort = el("button", { type: "button", class: "sort", title }, word);
  const menu = el(
    "button",
    { type: "button", class: "quiet icon-only menu", "aria-haspopup": "dialog" },
    icon("dots"),
  );
  const node = el(
    "th",
    { scope: "col", draggable: id === "custom_id" ? null : "true" },
    sort,
    menu,
    edgeOf(first, name, actions),
  );
  let column = first;
  sort.addEventListener("click", () => actions.sort(id));
  menu.addEventListener("click", () => actions.open(column, menu));
  makeMovable(node, id, actions);
  return {
    node,
    /** @param {Head} head */
    update({ column: now, place, isFirst }) {
      column = now;
      setText(word, now.title);
      const isFiltered =
        place.where.some((one) => one.column === id) || (id === "status" && place.status !== "");
      setAttribute(
        node,
        "class",
        [now.kind === "number" && "num", isFiltered && "filtered", isFirst && "first"]
          .filter(Boolean)
          .join(" ") || null,
      );
      setAttribute(
        node,
        "aria-sort",
        place.sort === id ? "ascending" : place.sort === `-${id}` ? "descending" : null,
      );
      setAttribute(menu, "aria-label", `Column ${name}${isFiltered ? ", filtered" : ""}: menu`);
    },
  };
}

/** Whether the columns of a batch begin here, of several.
 * @param {Column[]} columns @param {number} at @param {TablePlace} place */
export function isFirstOf(columns, at, place) {
  return isJoined(place) && at > 0 && (at === 1 || columns[at - 1].batch !== columns[at].batch);
}

/** What tells a column from all others: that of one batch from that of another, too.
 * @param {Column} column @param {TablePlace} place */
export function fullName({ id, title, batch }, place) {
  return isJoined(place) && id !== "custom_id" ? `${title} of ${letterOf(batch)}` : title;
}

/** The edge between two columns, for pointer and arrow keys.
 * @param {Column} column @param {string} name @param {HeadActions} actions */
function edgeOf({ id }, name, actions) {
  const edge = el("span", {
    class: "edge",
    role: "separator",
    tabindex: "0",
    "aria-orientation": "vertical",
    "aria-label": `Width of ${name}`,
    "aria-valuemin": String(LEAST_WIDTH),
    "aria-valuemax": String(MOST_WIDTH),
    "aria-valuenow": String(LEAST_WIDTH),
  });
  const width = () => edge.parentElement.offsetWidth;
  edge.addEventListener("pointerdown", (/** @type {PointerEvent} */ down) => {
    down.preventDefault();
    const start = width();
    edge.setPointerCapture(down.pointerId);
    const at = (/** @type {PointerEvent} */ event) => boundedWidth(start + event.clientX - down.clientX);
    edge.onpointermove = (/** @type {PointerEvent} */ event) => actions.size(id, at(event), false);
    edge.onlostpointercapture = () => (edge.onpointermove = edge.onpointerup = null);
    edge.onpointerup = (/** @type {PointerEvent} */ event) =>
      event.clientX !== down.clientX && actions.size(id, at(event), true);
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

/** What can be done without the heads of the columns, by pointer and by key.
 * @param {{ place: () => TablePlace, go: (place: TablePlace, how?: "replace") => void }} actions */
export function bindTools({ place, go }) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let typing;
  const search = () => {
    clearTimeout(typing);
    if (byId("search").value !== place().text) go({ ...place(), text: byId("search").value }, "replace");
  };
  byId("search").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(search, TYPING_PAUSE_MS);
  });
  byId("search").addEventListener("change", search); // left before the pause
  byId("status").addEventListener("change", () => go({ ...place(), status: byId("status").value }));
  byId("having").addEventListener("change", () => go({ ...place(), having: byId("having").value }));
  byId("wrap").addEventListener("click", () => go({ ...place(), wrap: !place().wrap }));
  byId("clear").addEventListener("click", () => go(withoutFilters(place())));
  byId("jump-to").addEventListener("input", () => byId("jump-to").setCustomValidity(""));
  addEventListener("keydown", (event) => {
    const target = { "/": "search", g: "jump-to" }[event.key];
    if (!target || place().batches.length === 0 || !isForPage(event)) return;
    event.preventDefault();
    byId(target).focus();
  });
}

/** The tools show the place, but leave alone what somebody is typing in.
 * @param {TablePlace} place */
export function drawTools(place) {
  show(byId("tools"), place.batches.length > 0);
  setAttribute(byId("wrap"), "aria-pressed", String(place.wrap));
  for (const [id, value] of Object.entries({ search: place.text, status: place.status })) {
    if (document.activeElement !== byId(id)) byId(id).value = value;
  }
}

/** @param {State} state */
export function drawState({ place, batches, extent, isLoading }) {
  if (batches.length > 0) setText(byId("title"), `${batches.map(displayName).join(", ")} · Table · Batch`);
  setText(byId("results"), isJoined(place) ? "Side by side" : "Results");
  byId("results").href = `${isJoined(place) ? "compare_results" : "index"}.html?${batchQuery(place)}`;
  drawPicked(place, batches);
  show(byId("add-batch"), place.batches.length > 0 && place.batches.length < MOST_BATCHES);
  const hasRows = extent !== null && extent.total > 0;
  show(byId("exports"), batches.length > 0);
  for (const id of ["csv", "jsonl", "foot"]) show(byId(id), hasRows);
  show(byId("loading"), isLoading);
  show(byId("scroll"), extent !== null);
  setText(byId("count"), extent ? countWords(extent, isJoined(place) ? "row" : "answer") : "");
  show(byId("indexing"), extent !== null && !extent.complete);
  setText(byId("indexing"), `indexing: ${integer(extent?.indexed)} answers so far`);
  drawEmpty(isLoading ? null : emptyWords(place, extent, batches));
  show(byId("choices"), place.batches.length === 0);
}

/** The one batch, until somebody wants to choose another: then the list is filled.
 * @param {TablePlace} place @param {Batch[]} batches */
function drawPicked(place, [batch]) {
  const [id] = place.batches;
  const picker = byId("picker");
  if (isJoined(place) || picker.options.length > 1 || !id) return;
  const word = batch ? choiceOf(batch, new Date()) : "…";
  if (picker.value !== id || picker.textContent !== word)
    picker.replaceChildren(el("option", { value: id }, word));
}

/** @param {Extent} extent @param {string} what */
function countWords({ total, indexed }, what) {
  return total === indexed ? plural(total, what) : `${integer(total)} of ${plural(indexed, what)}`;
}

/** @param {EmptyWords | null} words */
function drawEmpty(words) {
  show(byId("empty"), words !== null);
  setText(byId("empty-title"), words?.title ?? "");
  setText(byId("empty-text"), words?.text ?? "");
  show(byId("clear"), words?.clear ?? false);
}

/** Why there is no row to see; null when there are rows.
 * @param {TablePlace} place @param {Extent | null} extent null: nothing could be read @param {Batch[]} batches
 * @returns {EmptyWords | null} */
function emptyWords(place, extent, batches) {
  if (place.batches.length === 0)
    return {
      title: "Choose a batch",
      text: "Each answer is a row; the fields of its JSON are columns to sort and filter by.",
    };
  if (extent === null)
    return {
      title: "No rows could be read",
      text: "The message above says why.",
      clear: isNarrowed(place) || place.sort !== "line",
    };
  if (extent.total > 0) return null;
  if (isNarrowed(place))
    return {
      title: "No answer matches",
      text: `Every answer of ${isJoined(place) ? "these batches" : "this batch"} is left out by the filters.`,
      clear: true,
    };
  if (!extent.complete)
    return { title: "Reading the answers …", text: "They appear here as they are indexed." };
  if (isJoined(place))
    return { title: "No answers yet", text: "None of these batches has answered anything." };
  if (batches.some(isOpen))
    return {
      title: "No answers yet",
      text: "This batch has not answered anything so far. Answers appear here as they come.",
    };
  return { title: "This batch has no answers", text: "It ended before its first request was answered." };
}
