// Which columns are shown: all that the batch offers, to be ticked; a long list is found by typing.

import { MOST_COLUMNS } from "./columns.js";
import { byId, el, mirror, setAttribute, setText, show } from "./dom.js";
import { integer } from "./format.js";
import { setLengths } from "./table_sheet.js";

/** @typedef {import("./columns.js").Column} Column */

const LISTED = 40;

/** @param {{ choose: (ids: string[] | null) => void }} actions null: the usual ones */
export function createChooser({ choose }) {
  const popover = byId("chooser");
  const search = byId("chooser-search");
  /** @type {Column[]} */
  let all = [];
  /** @type {string[]} */
  let chosen = [];

  function draw() {
    const wanted = search.value.toLowerCase();
    const free = all.filter(({ id, title }) => id !== "custom_id" && title.toLowerCase().includes(wanted));
    const listed = free.slice(0, LISTED);
    mirror(byId("chooser-list"), listed, ({ id }) => id, createChoice);
    const more = free.length - listed.length;
    setText(byId("chooser-more"), more > 0 ? `and ${integer(more)} more: type a part of the name` : free.length === 0 ? "No column has this in its name" : "");
    show(byId("chooser-search"), all.length > 12);
  }

  /** @returns {import("./dom.js").View} */
  function createChoice() {
    const box = el("input", { type: "checkbox" });
    const word = el("span", { class: "word break" });
    const count = el("span", { class: "count muted" });
    let id = "";
    box.addEventListener("change", () => choose(box.checked ? [...chosen, id] : chosen.filter((other) => other !== id)));
    return {
      node: el("li", {}, el("label", {}, box, word, count)),
      /** @param {Column} column */
      update(column) {
        id = column.id;
        box.checked = chosen.includes(id);
        box.disabled = !box.checked && chosen.length >= MOST_COLUMNS;
        setText(word, column.title);
        setText(count, column.answers === null ? "" : integer(column.answers));
        setAttribute(count, "title", column.answers === null ? null : "answers that have it");
      },
    };
  }

  search.addEventListener("input", draw);
  byId("chooser-usual").addEventListener("click", () => choose(null));
  popover.addEventListener("beforetoggle", (/** @type {ToggleEvent} */ event) => event.newState === "open" && draw());
  popover.addEventListener("toggle", (/** @type {ToggleEvent} */ event) => {
    if (event.newState !== "open") return;
    const box = byId("columns").getBoundingClientRect();
    const left = Math.max(8, Math.min(box.left, document.documentElement.clientWidth - popover.offsetWidth - 8));
    const top = Math.max(8, Math.min(box.bottom + 4, innerHeight - 320));
    setLengths("#chooser", { left, top, "max-height": innerHeight - top - 8 });
  });

  return {
    /** @param {Column[]} columns @param {string[]} ids */
    update(columns, ids) {
      [all, chosen] = [columns, ids];
      if (popover.matches(":popover-open")) draw();
    },
  };
}
