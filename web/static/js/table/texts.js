// The filters of a table in words, and which batches there are for whoever came without one.

import { displayName, isOpen, letterOf } from "../shared/batches.js";
import { byId, el, icon, reconcile, setAttribute, setText, show } from "../shared/dom.js";
import { integer, when } from "../shared/format.js";
import { chipsOf } from "../shared/row_query.js";
import { isJoined } from "./url_state.js";

/** @typedef {import("./url_state.js").TablePlace} TablePlace */
/** @typedef {import("../shared/wire.js").Batch} Batch */

const OFFERED_BATCHES = 8;

/**
 * @typedef {{ chip: import("../shared/row_query.js").Chip, go: (place:
 * import("../shared/row_query.js").Place) => void }} ChipItem
 */

/** Each filter with a button that removes it. Those with a control of their own need none.
 * @param {TablePlace} place @param {(place: import("../shared/row_query.js").Place) => void} go */
export function drawChips(place, go) {
  const chips = chipsOf(place).filter(({ key }) => key !== "text" && key !== "status");
  show(byId("chips"), chips.length > 0);
  if (isJoined(place))
    for (const chip of chips)
      chip.label = chip.label.replace(
        /^(\d)\.(.*)$/s,
        (_, number, name) => `${name} of ${letterOf(number - 1)}`,
      );
  reconcile(
    byId("chips-list"),
    chips.map((chip) => ({ chip, go })),
    ({ chip }) => chip.key,
    () => {
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
    },
  );
}

/** The newest batches as links, for whoever came without one; the way to a first one where there is none.
 * @param {Batch[]} batches */
export function drawChoices(batches) {
  const links = batches.slice(0, OFFERED_BATCHES).map((batch) => {
    const facts = `${integer(batch.request_counts.completed)} answers${isOpen(batch) ? ", still running" : ""} · ${when(batch.created_at, new Date())}`;
    return el(
      "li",
      {},
      el(
        "a",
        { href: `table_view.html?batch=${encodeURIComponent(batch.id)}` },
        el("b", { class: "break" }, displayName(batch)),
        el("span", { class: "small muted num" }, facts),
      ),
    );
  });
  const first = el(
    "li",
    {},
    el(
      "a",
      { href: "submit_batch.html" },
      el("b", {}, "Submit a batch"),
      el("span", { class: "small muted" }, "none has answers yet"),
    ),
  );
  byId("choices").replaceChildren(...(links.length > 0 ? links : [first]));
}
