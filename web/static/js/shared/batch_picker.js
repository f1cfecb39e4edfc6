// A select of the batches that have answers to show.

import { callJson } from "./api.js";
import { choiceOf, letterOf } from "./batches.js";
import { el } from "./dom.js";

/** @typedef {import("./wire.js").Batch} Batch */

/** The newest batches with at least one answer.
 * @param {AbortSignal} [signal] @returns {Promise<Batch[]>} */
export async function batchesWithAnswers(signal) {
  /** @type {import("./wire.js").BatchList} */
  const list = await callJson("/v1/batches?limit=100", { signal });
  return list.data.filter((batch) => batch.request_counts.completed > 0);
}

/**
 * @param {HTMLSelectElement} select
 * @param {Batch[]} batches those known
 * @param {string | null} chosen a batch id, known or not
 * @param {boolean} isListed whether the list has been read: only then it can be empty */
export function fillPicker(select, batches, chosen, isListed) {
  const options = batches.map((batch) => el("option", { value: batch.id }, choiceOf(batch, new Date())));
  const unlisted = chosen && !batches.some((batch) => batch.id === chosen);
  select.replaceChildren(
    el(
      "option",
      { value: "" },
      batches.length > 0 ? "Choose a batch …" : isListed ? "No batch has answers yet" : "…",
    ),
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
