// The choice of two to four batches; the first is the baseline.

import { fillPicker } from "./batch_picker.js";
import { mark } from "./compare_figures.js";
import { MOST_BATCHES } from "./compare_place.js";
import { byId, el, icon, show } from "./dom.js";

/** @param {{ choose: (ids: string[]) => void }} on */
export function createPickers({ choose }) {
  /** @type {string[]} */
  let chosen = [];
  let count = 2; // filled or not

  /** A batch that stands on another side already changes places with this one.
   * @param {number} side @param {string} id */
  function change(side, id) {
    const ids = Array.from({ length: count }, (_, index) => chosen[index] ?? "");
    const other = ids.indexOf(id);
    if (id && other >= 0) ids[other] = ids[side];
    ids[side] = id;
    choose(ids.filter(Boolean));
  }

  /** @param {number} side */
  function picker(side) {
    const select = el("select", { id: `batch-${side}` }, el("option", { value: "" }, "…"));
    select.addEventListener("change", () => change(side, select.value));
    const word = side === 0 ? "Baseline" : side === 1 ? "Contender" : `Contender ${side}`;
    const remove = el("button", { type: "button", class: "quiet icon-only", "aria-label": `Remove ${word}` }, icon("cross"));
    remove.addEventListener("click", () => {
      count -= 1;
      choose(chosen.filter((_, index) => index !== side));
    });
    return el("div", { class: "field" }, el("label", { for: select.id }, mark(side), word), el("div", { class: "picked" }, select, side > 1 && remove));
  }

  /** @param {import("./wire.js").Batch[]} batches to choose from @param {string[]} ids that are chosen */
  function draw(batches, ids) {
    chosen = ids;
    count = Math.max(2, ids.length, count);
    const place = byId("pickers");
    if (place.querySelectorAll(".mark").length !== count) place.replaceChildren(...Array.from({ length: count }, (_, side) => picker(side)));
    for (let side = 0; side < count; side += 1) {
      const select = byId(`batch-${side}`);
      const filled = `${batches.length} ${ids[side] ?? ""}`;
      if (select.dataset.filled !== filled) fillPicker(select, batches, ids[side] ?? null);
      select.dataset.filled = filled;
    }
    show(byId("add"), count < MOST_BATCHES && ids.length >= count);
    byId("swap").disabled = ids.length < 2;
  }

  return {
    draw,
    /** One more, still empty. @param {import("./wire.js").Batch[]} batches */
    add(batches) {
      count += 1;
      draw(batches, chosen);
      byId(`batch-${count - 1}`).focus();
    },
  };
}
