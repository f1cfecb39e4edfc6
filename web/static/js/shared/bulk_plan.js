// What an action on one or several batches would do, counted before it is done. Pure.

import { displayName, doneCount, offers, unsuccessfulCount } from "./batches.js";
import { integer, plural } from "./format.js";

/** @typedef {import("./wire.js").Batch} Batch */
/**
 * @typedef {{ kind: "cancel" | "retry", batches: Batch[], requests: number, kept: number, others: number }}
 * Plan `kept`: answers that stay; `others`: selected, but not concerned
 */

const NAMED = 4;

/** @param {"cancel" | "retry"} kind @param {Batch[]} selected @returns {Plan} */
export function planOf(kind, selected) {
  const batches = selected.filter((batch) => offers(batch)[kind]);
  /** @param {(batch: Batch) => number} count */
  const sum = (count) => batches.reduce((total, batch) => total + count(batch), 0);
  const requests =
    kind === "cancel"
      ? sum((batch) => batch.request_counts.total - doneCount(batch))
      : sum(unsuccessfulCount);
  return {
    kind,
    batches,
    requests,
    kept: sum((batch) => batch.request_counts.completed),
    others: selected.length - batches.length,
  };
}

/** The button, with all that one needs to know before pressing it.
 * @param {Plan} plan */
export function buttonText({ kind, batches, requests }) {
  const many = plural(batches.length, "batch", "batches");
  if (kind === "cancel") return `Cancel ${many} (${plural(requests, "request")} unanswered)`;
  return `Retry the failed of ${many} (${plural(requests, "request")})`;
}

/** @typedef {{ title: string, text: string, act: string, keep: string, danger: boolean }} Question */

/** What one needs to know before saying yes, of one batch or of several.
 * @param {Plan} plan @returns {Question} */
export function questionOf(plan) {
  return plan.kind === "cancel" ? cancelQuestion(plan) : retryQuestion(plan);
}

/** @param {Plan} plan @returns {Question} */
function cancelQuestion({ batches, requests, kept, others }) {
  const names = namesOf(batches);
  const isOne = batches.length === 1;
  const stay =
    kept > 0
      ? `The ${plural(kept, "answer")} so far ${kept === 1 ? "stays" : "stay"} and can be downloaded.`
      : "Nothing has been answered yet.";
  const rest = others === 0 ? "" : ` Of those selected, ${integer(others)} cannot be cancelled any more.`;
  return {
    title: isOne ? `Cancel ${names}?` : `Cancel ${integer(batches.length)} batches?`,
    text: `${plural(requests, "request")} will not run${isOne ? "" : `: ${names}`}. ${stay}${rest}`,
    act: isOne ? "Cancel batch" : `Cancel ${integer(batches.length)} batches`,
    keep: isOne ? "Keep it running" : "Keep them running",
    danger: true,
  };
}

/** @param {Plan} plan @returns {Question} */
function retryQuestion({ batches, requests, others }) {
  const names = namesOf(batches);
  const isOne = batches.length === 1;
  const become = isOne
    ? "a new batch. This one and its files stay as they are."
    : `${integer(batches.length)} new batches: ${names}. The old ones and their files stay as they are.`;
  const rest =
    others === 0
      ? ""
      : ` Of those selected, ${integer(others)} ${others === 1 ? "has" : "have"} nothing to retry.`;
  return {
    title: `Retry ${plural(requests, "request")}${isOne ? ` of ${names}` : ""}?`,
    text: `Those that ended without an answer become ${become}${retriedWords(batches)}${rest}`,
    act: `Retry ${integer(requests)}`,
    keep: "Not now",
    danger: false,
  };
}

/** @param {Batch[]} batches */
function namesOf(batches) {
  const names = batches
    .slice(0, NAMED)
    .map((batch) => `“${displayName(batch)}”`)
    .join(", ");
  return batches.length > NAMED ? `${names} and ${integer(batches.length - NAMED)} more` : names;
}

/** Why nothing is asked when an action, planned anew, concerns none of the selected any more.
 * @param {Plan} plan @param {Batch[]} selected */
export function tooLateText({ kind }, selected) {
  const subject = selected.length === 1 ? `“${displayName(selected[0])}” cannot` : "None of them can";
  return `${subject} be ${kind === "cancel" ? "cancelled" : "retried"} any more.`;
}

/** That there was a retry already, for whoever is about to ask for another one; "" when there was none.
 * @param {Batch[]} batches */
export function retriedWords(batches) {
  const retried = batches.filter(({ retried_by: by }) => by.length > 0);
  if (retried.length === 0) return "";
  const named = retried
    .slice(0, NAMED)
    .map(
      (batch) => `${batches.length > 1 ? `“${displayName(batch)}” ` : ""}as ${batch.retried_by.join(", ")}`,
    );
  if (retried.length > NAMED) named.push(`${integer(retried.length - NAMED)} more`);
  return ` Already retried ${named.join("; ")}: this runs them again.`;
}

/** What was done, one after the other.
 * @param {Plan} plan @param {number} done how many went well @param {number} requests that were queued again */
export function outcomeText({ kind, batches }, done, requests) {
  const of =
    done === batches.length
      ? plural(done, "batch", "batches")
      : `${integer(done)} of ${plural(batches.length, "batch", "batches")}`;
  if (kind === "cancel") return `${of} ${done === 1 ? "is" : "are"} being cancelled.`;
  return `${plural(requests, "request")} queued again from ${of}.`;
}
