// The errors of one batch, grouped by code: how many, one of each in full, and the way to all of them.

import { callJson } from "./api.js";
import { batchPath, displayName, isOpen, unsuccessfulCount } from "./batches.js";
import { retriedWords } from "./bulk_plan.js";
import { el, icon, reconcile, setAttribute, setText, show } from "./dom.js";
import { integer, plural } from "./format.js";
import { messageOf } from "./page.js";

/** @typedef {import("./wire.js").Batch} Batch */
/**
 * @typedef {{ code: string, count: number, sample: { line: number, custom_id: string, message: string | null
 * } }} Group
 */
/** @typedef {{ group: Group, total: number, batch: Batch }} Item */

/** @param {HTMLElement} place @param {import("./batch_rows.js").Actions} actions */
export function createErrorGroups(place, actions) {
  const list = el("ul", { class: "error-groups" });
  const said = el("p", { class: "muted small" }, "Reading the errors…");
  const word = el("span");
  const retry = el("button", { type: "button" }, icon("retry"), word);
  const foot = el("div", { class: "row" }, retry, said);
  place.append(list, foot);
  /** @type {Batch} */
  let current;
  let known = "";
  let turn = 0;
  retry.addEventListener("click", () => actions.retry(current));

  async function read() {
    const batch = current;
    turn += 1;
    const mine = turn;
    try {
      /** @type {{ data: Group[], total: number }} */
      const found = await callJson(`${batchPath(batch.id)}/errors`);
      if (mine !== turn) return; // newer ones are on their way
      const items = found.data.map((group) => ({ group, total: found.total, batch }));
      reconcile(list, items, ({ group }) => group.code, createGroup);
      setText(said, saidOf(batch, found.total));
    } catch (error) {
      if (mine !== turn) return;
      known = "";
      setText(said, messageOf(error));
    }
  }

  return {
    /** Asks again only when the batch has other numbers than last time.
     * @param {Batch} batch */
    update(batch) {
      current = batch;
      const count = unsuccessfulCount(batch);
      show(retry, !isOpen(batch) && count > 0);
      setText(word, `Retry all ${integer(count)}`);
      setAttribute(retry, "aria-label", `Retry all ${integer(count)} of ${displayName(batch)}`);
      const now = `${batch.status} ${count} ${batch.retried_by.length}`;
      if (now === known) return;
      known = now;
      void read();
    },
  };
}

/** @param {Batch} batch @param {number} total */
function saidOf(batch, total) {
  if (total === 0) return "No request of this batch has failed.";
  return isOpen(batch)
    ? "They can be retried when the batch has ended."
    : `A retry runs all that ended without an answer, as a new batch.${retriedWords([batch])}`;
}

/** @returns {import("./dom.js").View} */
function createGroup() {
  const count = el("b");
  const share = el("progress", { "aria-hidden": "true" });
  const code = el("code");
  const message = el("p", { class: "break clip" });
  const where = el("p", { class: "muted small break" });
  const all = el("a");
  const node = el(
    "li",
    {},
    el("div", { class: "much" }, count, share),
    el("div", { class: "what" }, el("p", {}, code), message, where),
    all,
  );
  return {
    node,
    /** @param {Item} item */
    update({ group, total, batch }) {
      setText(count, integer(group.count));
      setAttribute(share, "max", String(total));
      setAttribute(share, "value", String(group.count));
      setText(code, group.code);
      setText(message, group.sample.message ?? "");
      setAttribute(message, "title", group.sample.message);
      setText(where, `as on line ${integer(group.sample.line)}, ${group.sample.custom_id}`);
      setText(all, group.count === 1 ? "Show it" : `Show ${plural(group.count, "request")}`);
      setAttribute(all, "aria-label", `Show what failed with ${group.code} in ${displayName(batch)}`);
      setAttribute(all, "href", `index.html?${new URLSearchParams({ batch: batch.id, code: group.code })}`);
    },
  };
}
