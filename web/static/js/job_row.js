// One open batch: a bar and its facts.

import { displayName, doneCount, donePercent, jobFacts, offers, resultsPath, stateOf } from "./batches.js";
import { copyOf, el, mirror, parts, setAttribute, setState, setText, show } from "./dom.js";
import { bindDownload } from "./downloads.js";
import { createErrorsPlace, createErrorsSwitch, createMenuButton, createPick, hasErrors } from "./row_parts.js";

/** @typedef {import("./wire.js").Batch} Batch */
/** @typedef {{ cancel: (batch: Batch) => void, retry: (batch: Batch) => void, failed: (error: unknown) => void }} Actions */

/** @param {Actions} actions @param {import("./row_parts.js").Extras} [extras] @returns {import("./dom.js").View} */
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
      mirror(at.facts, jobFacts(batch), (fact) => fact.key, createFact);
      updateButtons(at, batch, name, actions);
      drawErrors(batch);
      for (const one of added) one.update(batch);
    },
  };
}

/** @param {Record<string, any>} at @param {import("./row_parts.js").Extras} extras */
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
  if (offer.results) bindDownload(at.partial, resultsPath(batch), `${batch.id}_partial.jsonl`, actions.failed);
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
