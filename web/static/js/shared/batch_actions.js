// Cancel and retry, each asked about first; what came of it is said in a notice. Fetched when one is wanted.

import { callJson } from "./api.js";
import { batchPath, displayName } from "./batches.js";
import { planOf, questionOf, tooLateText } from "./bulk_plan.js";
import { confirm } from "./confirm.js";
import { el } from "./dom.js";
import { plural } from "./format.js";
import { retryBatch } from "./retrying.js";

/** @typedef {import("./wire.js").Batch} Batch */

const ACTS = { cancel, retry };

/**
 * @param {{ changed: () => void, notice: { say: (tone: "ok" | "warn", ...content: (Node | string)[]) => void
 * }, failed: (error: unknown) => void }} page
 */
export function createBatchActions({ changed, notice, failed }) {
  /** @type {Set<string>} batches that the API is being asked about */
  const underWay = new Set();

  /** The batch is read anew: it has gone on, ended or been retried since the page read it.
   * @param {keyof typeof ACTS} kind @param {string} id */
  async function ask(kind, id) {
    /** @type {Batch} */
    const batch = await callJson(batchPath(id));
    const plan = planOf(kind, [batch]);
    if (plan.batches.length === 0) notice.say("warn", tooLateText(plan, [batch]));
    else if (await confirm(questionOf(plan))) notice.say("ok", ...(await ACTS[kind](batch)));
    else return;
    changed();
  }

  /** @param {keyof typeof ACTS} kind @returns {(batch: Batch) => Promise<void>} */
  const guarded =
    (kind) =>
    async ({ id }) => {
      if (underWay.has(id)) return;
      underWay.add(id);
      await ask(kind, id).catch(failed);
      underWay.delete(id);
    };
  return { cancel: guarded("cancel"), retry: guarded("retry") };
}

/** @param {Batch} batch @returns {Promise<(Node | string)[]>} what to say of it */
async function cancel(batch) {
  await callJson(`${batchPath(batch.id)}/cancel`, { method: "POST" });
  return [`“${displayName(batch)}” is being cancelled.`];
}

/** @param {Batch} batch @returns {Promise<(Node | string)[]>} what to say of it */
async function retry(batch) {
  const receipt = await retryBatch(batch.id);
  const link = el(
    "a",
    { href: `index.html?batch=${encodeURIComponent(receipt.batch_id)}` },
    receipt.batch_id,
  );
  return [`${plural(receipt.total_requests, "request")} queued again as `, link, "."];
}
