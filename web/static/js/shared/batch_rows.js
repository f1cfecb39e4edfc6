// Rows of batches: an open one with its bar and facts, and what it has in common with the rows of the table:
// the box that
// selects, the switch for its errors, the menu.

import { bindDownload } from "./api.js";
import {
  displayName,
  doneCount,
  donePercent,
  isOpen,
  jobFacts,
  offers,
  resultsPath,
  stateOf,
  unsuccessfulCount,
} from "./batches.js";
import { copyOf, el, icon, parts, reconcile, setAttribute, setState, setText, show } from "./dom.js";
import { integer } from "./format.js";

/** @typedef {import("./wire.js").Batch} Batch */
/**
 * @typedef {{ cancel: (batch: Batch) => void, retry: (batch: Batch) => void, failed: (error: unknown) => void
 * }} Actions
 */

/** @param {Actions} actions @param {Extras} [extras] @returns {import("./dom.js").View} */
export function createJobRow(actions, extras = {}) {
  const node = copyOf("job-template");
  const at = parts(node);
  /** @type {Batch} */
  let current;
  at.cancel.addEventListener("click", () => actions.cancel(current));
  const added = addExtras(at, extras);
  const drawErrors = createErrors(at, actions, () => current);
  return {
    node,
    /** @param {Batch} batch */
    update(batch) {
      current = batch;
      const name = displayName(batch);
      setText(at.name, name);
      setAttribute(at.name, "href", `index.html?batch=${encodeURIComponent(batch.id)}`);
      setText(at.id, batch.id);
      setState(at.state, stateOf(batch));
      drawBar(at, batch, name);
      reconcile(at.facts, jobFacts(batch), (fact) => fact.key, createFact);
      updateButtons(at, batch, name, actions);
      drawErrors(batch);
      for (const one of added) one.update(batch);
    },
  };
}

/** @param {Record<string, any>} at @param {Extras} extras */
function addExtras(at, { selection, fillMenu }) {
  const pick = selection && createPick(selection);
  const menu = fillMenu && createMenuButton(fillMenu);
  if (pick) at.top.prepend(pick.node);
  if (menu) at.end.append(menu.node);
  return [pick, menu].filter((one) => one !== undefined);
}

/** @param {Record<string, any>} at @param {Batch} batch @param {string} name */
function drawBar(at, batch, name) {
  setAttribute(at.bar, "aria-label", name);
  setAttribute(at.bar, "max", String(Math.max(1, batch.request_counts.total)));
  setAttribute(at.bar, "value", String(doneCount(batch)));
  setAttribute(at.bar, "class", batch.status === "cancelling" ? "idle" : null);
  setText(at.percent, donePercent(batch));
}

/** @param {Record<string, any>} at @param {Actions} actions @param {() => Batch} current */
function createErrors(at, actions, current) {
  /** @type {ReturnType<typeof createErrorsPlace> | undefined} */
  let groups;
  let open = false;
  const toggle = createErrorsSwitch((wanted) => {
    open = wanted;
    draw(current());
  });
  at.end.prepend(toggle.node);
  /** @param {Batch} batch */
  function draw(batch) {
    const some = hasErrors(batch);
    show(toggle.node, some);
    show(at.groups, some && open);
    toggle.update(batch, "Errors", open);
    if (!some || !open) return;
    groups ??= createErrorsPlace(at.groups, actions);
    groups.update(batch);
  }
  return draw;
}

/** @param {Record<string, any>} at @param {Batch} batch @param {string} name @param {Actions} actions */
function updateButtons(at, batch, name, actions) {
  const offer = offers(batch);
  show(at.partial, offer.results !== null);
  setAttribute(at.partial, "aria-label", `Partial results of ${name}`);
  if (offer.results)
    bindDownload(at.partial, resultsPath(batch), `${batch.id}_partial.jsonl`, actions.failed);
  show(at.cancel, offer.cancel);
  setAttribute(at.cancel, "aria-label", `Cancel ${name}`);
}

/** @returns {import("./dom.js").View} */
function createFact() {
  const before = el("span");
  const value = el("b");
  const after = el("span");
  const node = el("span", {}, before, value, after);
  return {
    node,
    /** @param {import("./batches.js").Fact} fact */
    update(fact) {
      setAttribute(node, "class", fact.tone || null);
      setAttribute(node, "title", fact.title ?? null);
      setText(before, fact.before ? `${fact.before} ` : "");
      setText(value, fact.value);
      setText(after, fact.after ? ` ${fact.after}` : "");
    },
  };
}

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
  const button = el(
    "button",
    { type: "button", class: "quiet errors-switch", "aria-expanded": "false", "data-errors": true },
    word,
    icon("down"),
  );
  button.addEventListener("click", () => toggled(button.getAttribute("aria-expanded") !== "true"));
  return {
    node: button,
    /** @param {Batch} batch @param {string} text @param {boolean} open */
    update(batch, text, open) {
      setText(word, text);
      setAttribute(button, "aria-expanded", String(open));
      setAttribute(
        button,
        "aria-label",
        `Error groups of ${displayName(batch)}, ${integer(batch.request_counts.failed)} failed`,
      );
      setAttribute(button, "title", open ? "Hide the errors" : "What went wrong, by error");
    },
  };
}

/** @param {Batch} batch */
export function hasErrors(batch) {
  return batch.request_counts.failed > 0 || (!isOpen(batch) && unsuccessfulCount(batch) > 0);
}

/** The error groups below a row; their module is fetched when the first ones are opened.
 * @param {HTMLElement} place @param {Actions} actions */
export function createErrorsPlace(place, actions) {
  const waiting = el("p", { class: "muted small" }, "Reading the errors…");
  place.append(waiting);
  /** @type {Batch} */
  let current;
  const view = import("./error_groups.js").then(({ createErrorGroups }) => createErrorGroups(place, actions));
  view.then(
    () => waiting.remove(),
    () => setText(waiting, "The errors cannot be shown: the server of these pages does not answer."),
  );
  return {
    /** @param {Batch} batch */
    update(batch) {
      current = batch;
      view.then(
        (groups) => groups.update(current),
        () => undefined,
      );
    },
  };
}

/** @param {FillMenu} fill */
export function createMenuButton(fill) {
  const button = el(
    "button",
    { type: "button", class: "quiet icon-only", popovertarget: "row-menu" },
    icon("dots"),
  );
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
