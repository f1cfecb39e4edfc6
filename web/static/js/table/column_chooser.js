// Which columns are shown: all that the batches offer, to be ticked, for each batch; a long list is found by typing.

import { letterOf } from "../shared/batches.js";
import { byId, el, reconcile, setAttribute, setText, show } from "../shared/dom.js";
import { integer } from "../shared/format.js";
import { MOST_COLUMNS } from "./columns.js";
import { setLengths } from "./grid.js";

/** @typedef {import("./columns.js").Column} Column */
/**
 * @typedef {{ title: string, key: string, columns: Column[] }} Choice the columns of this name, of the
 * batches that have it
 */

const LISTED = 40;

/** @param {{ choose: (ids: string[] | null) => void }} actions null: the usual ones */
export function createChooser({ choose }) {
  const popover = byId("chooser");
  const search = byId("chooser-search");
  /** @type {Column[]} */
  let all = [];
  /** @type {string[]} */
  let chosen = [];
  let batches = 1;
  let isOpening = false;

  function draw() {
    const wanted = search.value.toLowerCase();
    const free = choicesOf(all).filter(({ title }) => title.toLowerCase().includes(wanted));
    const listed = free.slice(0, LISTED);
    const letters = Array.from({ length: batches > 1 ? batches : 0 }, (_, batch) =>
      el("span", {}, letterOf(batch)),
    );
    byId("chooser-head").replaceChildren(...letters);
    setAttribute(byId("chooser"), "data-batches", String(batches));
    reconcile(
      byId("chooser-list"),
      listed,
      ({ key }) => `${key} ${batches}`,
      () => (batches > 1 ? createRow() : createChoice()),
    );
    const more = free.length - listed.length;
    setText(
      byId("chooser-more"),
      more > 0
        ? `and ${integer(more)} more: type a part of the name`
        : free.length === 0
          ? "No column has this in its name"
          : "",
    );
    show(byId("chooser-search"), all.length > 12);
  }

  /** @param {string[]} ids @param {boolean} isOn */
  function set(ids, isOn) {
    choose(isOn ? [...new Set([...chosen, ...ids])] : chosen.filter((id) => !ids.includes(id)));
  }

  /** A box for a column. @returns {{ box: HTMLInputElement, tick: (column: Column) => void }} */
  function createBox() {
    const box = el("input", { type: "checkbox" });
    let id = "";
    box.addEventListener("change", () => set([id], box.checked));
    return {
      box,
      tick(column) {
        id = column.id;
        box.checked = chosen.includes(id);
        box.disabled = !box.checked && chosen.length >= MOST_COLUMNS;
      },
    };
  }

  /** Of the only batch. @returns {import("../shared/dom.js").View} */
  function createChoice() {
    const { box, tick } = createBox();
    const word = el("span", { class: "word break" });
    const count = el("span", { class: "count muted" });
    return {
      node: el("li", {}, el("label", {}, box, word, count)),
      /** @param {Choice} choice */
      update({ title, columns: [column] }) {
        tick(column);
        setText(word, title);
        setText(count, column.answers === null ? "" : integer(column.answers));
        setAttribute(count, "title", column.answers === null ? null : "answers that have it");
      },
    };
  }

  /**
   * Of several batches: a box for each that has it, and the name for all of them at once.
   * @returns {import("../shared/dom.js").View}
   */
  function createRow() {
    const all = el("button", { type: "button", class: "quiet word break" });
    const boxes = Array.from({ length: batches }, createBox);
    const cells = boxes.map(({ box }) => el("label", {}, box));
    /** @type {Choice} */
    let now;
    all.addEventListener("click", () => {
      const ids = now.columns.map(({ id }) => id);
      set(ids, !ids.every((id) => chosen.includes(id)));
    });
    return {
      node: el("li", { class: "many" }, all, ...cells),
      /** @param {Choice} choice */
      update(choice) {
        now = choice;
        const isOn = choice.columns.every(({ id }) => chosen.includes(id));
        setText(all, choice.title);
        setAttribute(all, "aria-pressed", String(isOn));
        setAttribute(all, "title", `${choice.title}: ${isOn ? "in none" : "in all"}`);
        boxes.forEach(({ box, tick }, batch) => {
          const column = choice.columns.find((one) => one.batch === batch);
          show(box, column !== undefined);
          if (column) tick(column);
          setAttribute(box, "aria-label", `${choice.title} of ${letterOf(batch)}`);
        });
      },
    };
  }

  search.addEventListener("input", draw);
  byId("chooser-usual").addEventListener("click", () => choose(null));

  return {
    /** @param {Column[]} columns @param {string[]} ids @param {number} count of the batches */
    update(columns, ids, count) {
      [all, chosen, batches] = [columns, ids, count];
      if (popover.matches(":popover-open")) draw();
    },
    /** Whether it is this that opens the popover. */
    isOpening: () => isOpening,
    open() {
      draw();
      isOpening = true;
      popover.showPopover();
      isOpening = false;
      const box = byId("columns").getBoundingClientRect();
      const left = Math.max(
        8,
        Math.min(box.left, document.documentElement.clientWidth - popover.offsetWidth - 8),
      );
      const top = Math.max(8, Math.min(box.bottom + 4, innerHeight - 320));
      setLengths("#chooser", { left, top, "max-height": innerHeight - top - 8 });
    },
  };
}

/** @param {Column[]} columns @returns {Choice[]} in the order of the first batch, then what only the others have */
function choicesOf(columns) {
  /** @type {Map<string, Choice>} */
  const found = new Map();
  for (const column of columns) {
    if (column.id === "custom_id") continue;
    const key = `${column.path === null ? "" : "$"}${column.title}`;
    const choice = found.get(key) ?? { title: column.title, key, columns: [] };
    choice.columns.push(column);
    found.set(key, choice);
  }
  return [...found.values()];
}
