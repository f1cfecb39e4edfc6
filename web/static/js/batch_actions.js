// Cancel and retry, each asked about first; what came of it is said in a notice. Fetched when one is wanted.

import { callJson } from "./api.js";
import { displayName, doneCount, unsuccessfulCount } from "./batches.js";
import { retriedWords } from "./bulk_plan.js";
import { confirm } from "./confirm.js";
import { el } from "./dom.js";
import { integer, plural } from "./format.js";
import { createNotice, messageOf } from "./page.js";
import { retryBatch } from "./retrying.js";

/** @typedef {import("./wire.js").Batch} Batch */

/** @param {{ changed: () => void }} page */
export function createBatchActions({ changed }) {
  const notice = createNotice({ closable: true });
  /** @type {Set<string>} batches that the API is being asked about */
  const underWay = new Set();
  /** @param {(batch: Batch) => Promise<(Node | string)[] | null>} action what to say when done, null when not confirmed
   * @returns {(batch: Batch) => Promise<void>} */
  const guarded = (action) => async (batch) => {
    if (underWay.has(batch.id)) return;
    underWay.add(batch.id);
    try {
      const said = await action(batch);
      if (said === null) return;
      notice.say("ok", ...said);
      changed();
    } catch (error) {
      notice.say("bad", messageOf(error));
    } finally {
      underWay.delete(batch.id);
    }
  };
  return { cancel: guarded(cancel), retry: guarded(retry) };
}

/** @param {Batch} batch */
async function cancel(batch) {
  const done = doneCount(batch);
  const left = batch.request_counts.total - done;
  const yes = await confirm({
    title: `Cancel “${displayName(batch)}”?`,
    text: `${plural(left, "request")} will not run. ${done > 0 ? `The ${plural(done, "finished answer")} stay and can be downloaded.` : "Nothing has been answered yet."}`,
    act: "Cancel batch",
    keep: "Keep it running",
    danger: true,
  });
  if (!yes) return null;
  await callJson(`/v1/batches/${encodeURIComponent(batch.id)}/cancel`, { method: "POST" });
  return [`“${displayName(batch)}” is being cancelled.`];
}

/** The batch is read anew: it may have been retried since the page read it, by whomever.
 * @param {Batch} old */
async function retry(old) {
  /** @type {Batch} */
  const batch = await callJson(`/v1/batches/${encodeURIComponent(old.id)}`);
  const count = unsuccessfulCount(batch);
  const yes = await confirm({
    title: `Retry ${plural(count, "request")} of “${displayName(batch)}”?`,
    text: `Those that ended without an answer become a new batch. This one and its files stay as they are.${retriedWords([batch])}`,
    act: `Retry ${integer(count)}`,
    keep: "Not now",
  });
  if (!yes) return null;
  const receipt = await retryBatch(batch.id);
  const link = el("a", { href: `index.html?batch=${encodeURIComponent(receipt.batch_id)}` }, receipt.batch_id);
  return [`${plural(receipt.total_requests, "request")} queued again as `, link, "."];
}
