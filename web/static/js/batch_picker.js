// A select of the batches that have answers to show.

import { callJson } from "./api.js";
import { choiceOf, letterOf } from "./batches.js";
import { el } from "./dom.js";

/** @typedef {import("./wire.js").Batch} Batch */

/** The newest batches with at least one answer.
 * @returns {Promise<Batch[]>} */
export async function batchesWithAnswers() {
  /** @type {import("./wire.js").BatchList} */
  const list = await callJson("/v1/batches?limit=100");
  return list.data.filter((batch) => batch.request_counts.completed > 0);
}

/** @param {HTMLSelectElement} select @param {Batch[]} batches @param {string | null} chosen a batch id, listed or not */
export function fillPicker(select, batches, chosen) {
  const options = batches.map((batch) => el("option", { value: batch.id }, choiceOf(batch, new Date())));
  const unlisted = chosen && !batches.some((batch) => batch.id === chosen);
  select.replaceChildren(
    el("option", { value: "" }, batches.length > 0 ? "Choose a batch …" : "No batch has answers yet"),
    ...(unlisted ? [el("option", { value: chosen }, chosen)] : []),
    ...options,
  );
  select.value = chosen ?? "";
}

/** The letter of a batch as its sign.
 * @param {number} batch */
export function markOf(batch) {
  return el("span", { class: `mark mark-${batch}`, "aria-hidden": "true" }, letterOf(batch));
}
