// The choice of the batches in the table: one, or up to four beside each other.

import { batchesWithAnswers, fillPicker, markOf } from "../shared/batch_picker.js";
import { letterOf, MOST_BATCHES } from "../shared/batches.js";
import { byId, el, icon, show } from "../shared/dom.js";

/** @typedef {import("../shared/wire.js").Batch} Batch */

/** @param {{ choose: (ids: string[]) => void }} on */
export function createBatchChoice({ choose }) {
  const place = byId("pickers");
  /** @type {Batch[]} */
  let known = [];
  /** @type {string[]} */
  let chosen = [];
  let isAdding = false;
  let isListed = false;
  /** @type {Promise<Batch[]> | undefined} */
  let listing;

  /** A batch that stands elsewhere already changes places with this one.
   * @param {number} at @param {string} id */
  function change(at, id) {
    const other = chosen.indexOf(id);
    const ids = [...chosen];
    if (id && other >= 0 && at < ids.length) ids[other] = ids[at];
    if (id && (other < 0 || at < ids.length)) ids[at] = id;
    isAdding = isAdding && at < chosen.length;
    choose(id ? ids : chosen.filter((_, index) => index !== at));
  }

  /** The batches that have answers; what failed is tried again. */
  function list() {
    listing ??= batchesWithAnswers().catch((error) => {
      listing = undefined;
      throw error;
    });
    return listing;
  }

  place.addEventListener("change", (/** @type {Event} */ event) => {
    const select = /** @type {HTMLSelectElement} */ (event.target);
    change(Number(select.id.split("-")[1] ?? 0), select.value);
  });
  place.addEventListener("mousedown", (/** @type {MouseEvent} */ event) => {
    const select = /** @type {HTMLSelectElement | null} */ (
      /** @type {Element} */ (event.target).closest("select")
    );
    if (isListed || select === null) return;
    event.preventDefault(); // an open list would not grow
    void list().then(
      () => setTimeout(() => select.showPicker()),
      () => undefined,
    );
  });

  /** @param {number} at @param {number} count */
  function picker(at, count) {
    const select = el("select", { id: at === 0 ? "picker" : `picker-${at}` });
    const remove = el(
      "button",
      {
        type: "button",
        class: "quiet icon-only",
        "aria-label": `Remove batch ${letterOf(at)}`,
        title: "Remove",
      },
      icon("cross"),
    );
    remove.addEventListener("click", () => {
      if (at >= chosen.length) isAdding = false;
      choose(chosen.filter((_, index) => index !== at));
      byId("add-batch").focus();
    });
    const name = el("span", { class: "visually-hidden" }, count > 1 ? `Batch ${letterOf(at)}` : "Batch");
    return el(
      "div",
      { class: "picker" },
      count > 1 && markOf(at),
      el("label", {}, name, select),
      count > 1 && remove,
    );
  }

  function draw() {
    const count = chosen.length + (isAdding ? 1 : 0) || 1;
    if (place.dataset.count !== String(count))
      place.replaceChildren(...Array.from({ length: count }, (_, at) => picker(at, count)));
    place.dataset.count = String(count);
    for (let at = 0; at < count; at += 1)
      fill(byId(at === 0 ? "picker" : `picker-${at}`), chosen[at] ?? null);
    show(byId("add-batch"), chosen.length > 0 && count < MOST_BATCHES);
  }

  /** @param {HTMLSelectElement} select @param {string | null} id */
  function fill(select, id) {
    const filled = `${isListed} ${known.length} ${id}`;
    if (select.dataset.filled !== filled) fillPicker(select, known, id, isListed);
    select.dataset.filled = filled;
  }

  return {
    list,
    /** @param {string[]} ids @param {Batch[]} read those of them that are known */
    async update(ids, read) {
      if (String(ids) !== String(chosen)) isAdding = false;
      chosen = ids;
      known = [...known, ...read.filter((one) => !known.some(({ id }) => id === one.id))];
      draw();
      const all = isListed ? [] : await list();
      if (isListed) return;
      isListed = true;
      known = [...all, ...known.filter((one) => !all.some(({ id }) => id === one.id))];
      draw();
    },
    /** One more, still to be chosen. */
    add() {
      isAdding = true;
      draw();
      byId(`picker-${chosen.length}`).focus();
    },
  };
}
