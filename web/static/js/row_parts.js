// What rows and jobs of the dashboard have in common: the box that selects, the switch for its errors, the menu.

import { displayName, isOpen, unsuccessfulCount } from "./batches.js";
import { el, setAttribute, setText, show } from "./dom.js";
import { integer } from "./format.js";
import { icon } from "./icons.js";

/** @typedef {import("./wire.js").Batch} Batch */
/** @typedef {ReturnType<typeof createSelection>} Selection */
/** @typedef {(batch: Batch) => void} FillMenu called before the popover with the id `row-menu` shows */
/** @typedef {{ selection?: Selection, fillMenu?: FillMenu }} Extras a page without them has plain rows */

/** The batches that are selected, as they were when last read.
 * @param {() => void} changed */
export function createSelection(changed) {
  /** @type {Map<string, Batch>} */
  const chosen = new Map();
  return {
    /** @param {string} id */
    has: (id) => chosen.has(id),
    batches: () => [...chosen.values()],
    /** @param {Batch[]} batches @param {boolean} on */
    choose(batches, on) {
      for (const batch of batches) on ? chosen.set(batch.id, batch) : chosen.delete(batch.id);
      changed();
    },
    /** Only what is shown stays selected, with its newest numbers.
     * @param {Batch[]} shown */
    keep(shown) {
      const now = new Map(shown.map((batch) => [batch.id, batch]));
      for (const id of [...chosen.keys()]) {
        const batch = now.get(id);
        if (batch) chosen.set(id, batch);
        else chosen.delete(id);
      }
    },
  };
}

/** @param {Selection} selection */
export function createPick(selection) {
  const box = el("input", { type: "checkbox" });
  /** @type {Batch} */
  let current;
  box.addEventListener("change", () => selection.choose([current], box.checked));
  return {
    node: el("label", { class: "pick" }, box),
    /** @param {Batch} batch */
    update(batch) {
      current = batch;
      setAttribute(box, "aria-label", `Select ${displayName(batch)}`);
      if (box.checked !== selection.has(batch.id)) box.checked = selection.has(batch.id);
    },
  };
}

/** Shows and hides the error groups of a batch.
 * @param {(open: boolean) => void} toggled */
export function createErrorsSwitch(toggled) {
  const word = el("span");
  const button = el("button", { type: "button", class: "quiet errors-switch", "aria-expanded": "false", "data-errors": true }, word, icon("down"));
  button.addEventListener("click", () => toggled(button.getAttribute("aria-expanded") !== "true"));
  return {
    node: button,
    /** @param {Batch} batch @param {string} text @param {boolean} open */
    update(batch, text, open) {
      setText(word, text);
      setAttribute(button, "aria-expanded", String(open));
      setAttribute(button, "aria-label", `Error groups of ${displayName(batch)}, ${integer(batch.request_counts.failed)} failed`);
      setAttribute(button, "title", open ? "Hide the errors" : "What went wrong, by error");
    },
  };
}

/** @param {Batch} batch */
export function hasErrors(batch) {
  return batch.request_counts.failed > 0 || (!isOpen(batch) && unsuccessfulCount(batch) > 0);
}

/** The error groups below a row; their module is fetched when the first ones are opened.
 * @param {HTMLElement} place @param {import("./job_row.js").Actions} actions */
export function createErrorsPlace(place, actions) {
  const waiting = el("p", { class: "muted small" }, "Reading the errors…");
  place.append(waiting);
  /** @type {Batch} */
  let current;
  const view = import("./error_groups.js").then(({ createErrorGroups }) => createErrorGroups(place, actions));
  view.then(() => waiting.remove(), () => setText(waiting, "The errors cannot be shown: the server of these pages does not answer."));
  return {
    /** @param {Batch} batch */
    update(batch) {
      current = batch;
      view.then((groups) => groups.update(current), () => undefined);
    },
  };
}

/** @param {FillMenu} fill */
export function createMenuButton(fill) {
  const button = el("button", { type: "button", class: "quiet icon-only", popovertarget: "row-menu" }, icon("dots"));
  /** @type {Batch} */
  let current;
  button.addEventListener("click", () => fill(current));
  return {
    node: button,
    /** @param {Batch} batch */
    update(batch) {
      current = batch;
      setAttribute(button, "aria-label", `More for ${displayName(batch)}`);
    },
  };
}

/** A size beside the word for a download; nothing while it is not known.
 * @param {HTMLElement} node @param {string} text */
export function setSize(node, text) {
  setText(node, text);
  show(node, text !== "");
}
