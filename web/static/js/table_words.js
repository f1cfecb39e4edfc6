// What stands around the rows of a table: the filters in words, why it is empty, which batches there are.

import { displayName, isOpen } from "./batches.js";
import { byId, el, icon, mirror, setAttribute, setText, show } from "./dom.js";
import { integer, when } from "./format.js";
import { chipsOf, isFiltered } from "./results_place.js";

/** @typedef {import("./table_place.js").TablePlace} TablePlace */
/** @typedef {import("./wire.js").Batch} Batch */
/** @typedef {{ title: string, text: string, clear?: boolean }} EmptyWords */

const OFFERED_BATCHES = 8;

/** Why there is no row to see; null when there are rows.
 * @param {TablePlace} place @param {import("./table_reading.js").Extent | null} extent null: nothing could be read @param {Batch | null} batch
 * @returns {EmptyWords | null} */
export function emptyWords(place, extent, batch) {
  if (!place.batch) return { title: "Choose a batch", text: "Each answer is a row; the fields of its JSON are columns to sort and filter by." };
  if (extent === null) return { title: "No rows could be read", text: "The message above says why.", clear: isFiltered(place) || place.sort !== "line" };
  if (extent.total > 0) return null;
  if (isFiltered(place)) return { title: "No answer matches", text: "Every answer of this batch is left out by the filters.", clear: true };
  if (!extent.complete) return { title: "Reading the answers …", text: "They appear here as they are indexed." };
  if (batch && isOpen(batch)) return { title: "No answers yet", text: "This batch has not answered anything so far. Answers appear here as they come." };
  return { title: "This batch has no answers", text: "It ended before its first request was answered." };
}

/** All rows in the order of the file.
 * @param {TablePlace} place @returns {TablePlace} */
export function withoutFilters(place) {
  return { ...place, text: "", customId: "", status: "", code: "", where: [], sort: "line" };
}

/** @typedef {{ chip: import("./results_place.js").Chip, go: (place: import("./results_place.js").Place) => void }} ChipItem */

/** Each filter with a button that removes it. Those with a control of their own need none.
 * @param {TablePlace} place @param {(place: import("./results_place.js").Place) => void} go */
export function drawChips(place, go) {
  const chips = chipsOf(place).filter(({ key }) => key !== "text" && key !== "status");
  show(byId("chips"), chips.length > 0);
  mirror(byId("chips-list"), chips.map((chip) => ({ chip, go })), ({ chip }) => chip.key, () => {
    const label = document.createTextNode("");
    const value = el("b");
    const button = el("button", { type: "button" }, el("span", {}, label, " ", value), icon("cross"));
    /** @type {ChipItem} */
    let now;
    button.addEventListener("click", () => now.go(now.chip.without));
    return {
      node: el("li", {}, button),
      /** @param {ChipItem} item */
      update(item) {
        now = item;
        label.data = item.chip.label;
        setText(value, item.chip.value);
        setAttribute(button, "aria-label", `Remove the filter: ${item.chip.label} ${item.chip.value}`);
      },
    };
  });
}

/** The newest batches as links, for whoever came without one; the way to a first one where there is none.
 * @param {Batch[]} batches */
export function drawChoices(batches) {
  const links = batches.slice(0, OFFERED_BATCHES).map((batch) => {
    const facts = `${integer(batch.request_counts.completed)} answers${isOpen(batch) ? ", still running" : ""} · ${when(batch.created_at, new Date())}`;
    return el("li", {}, el("a", { href: `table_view.html?batch=${encodeURIComponent(batch.id)}` }, el("b", { class: "break" }, displayName(batch)), el("span", { class: "small muted num" }, facts)));
  });
  const first = el("li", {}, el("a", { href: "submit_batch.html" }, el("b", {}, "Submit a batch"), el("span", { class: "small muted" }, "none has answers yet")));
  byId("choices").replaceChildren(...(links.length > 0 ? links : [first]));
}
