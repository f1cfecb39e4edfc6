// What the page knows of the machine: what it allows, what it does now and did lately, and what of that stands in the
// way of a batch. Read for as long as the page is looked at: what is said to be so now, is.

import { ApiError, callJson } from "../shared/api.js";
import { el } from "../shared/dom.js";
import { integer, plural } from "../shared/format.js";
import { createPoller } from "../shared/live.js";
import { createNotice, messageOf, withCommands } from "../shared/page.js";

/** @typedef {import("../shared/wire.js").Batch} Batch */
/** @typedef {import("../shared/wire.js").Health} Health */

const RECENT = 50;
const EVERY_MS = 30_000;

/**
 * @param {{ hasFile: () => boolean, loadModels: (signal: AbortSignal) => Promise<void>, news: () => void }}
 * page `loadModels` is called until it has succeeded
 */
export function createMachine({ hasFile, loadModels, news }) {
  /** What the server allows unless its /health says otherwise. */
  const limits = { maxRequests: 50_000, maxFileBytes: 200 * 2 ** 20, maxLineBytes: 4 * 2 ** 20 };
  const notice = createNotice();
  let said = "";
  /** Why nothing could be read the last time; "" when it could. */
  let lost = "";
  let hasModels = false;
  /** @type {Health | null} */
  let health = null;
  /** What an estimate needs besides.
   * @type {{ open: Batch[], finished: Batch[] } | null} */
  let batches = null;

  /** @param {AbortSignal} signal */
  async function readHealth(signal) {
    const found = /** @type {Health} */ (await callJson("/health", { signal }));
    const { queue } = found;
    Object.assign(limits, { maxRequests: queue.max_requests_per_batch, maxFileBytes: queue.max_file_bytes });
    if (queue.max_line_bytes) limits.maxLineBytes = queue.max_line_bytes;
    health = found;
  }

  /** @param {AbortSignal} signal */
  async function readBatches(signal) {
    /** @type {import("../shared/wire.js").BatchList[]} */
    const [active, done] = await Promise.all([
      callJson("/v1/batches?status=active&limit=100", { signal }),
      callJson(`/v1/batches?status=completed&limit=${RECENT}`, { signal }),
    ]);
    batches = { open: active.data, finished: done.data };
  }

  const poller = createPoller({
    async work(signal) {
      await Promise.all([
        readHealth(signal),
        hasFile() && readBatches(signal),
        hasModels || loadModels(signal),
      ]);
      hasModels = true;
    },
    onDone() {
      lost = "";
      news();
    },
    onFail(error) {
      lost = error instanceof ApiError ? error.message : `${messageOf(error)} Start it with make api.`;
      news();
    },
  });
  poller.every(EVERY_MS);

  return {
    limits,
    /** Reads it at once. */
    read: poller.now,
    /** Shows what stands in the way of a batch; the same thing only once, for it is read out.
     * @param {number} requests of the batch, 0 while nobody knows */
    warn(requests) {
      const words = lost ? [lost] : health ? warningsOf(health, requests) : [];
      if (said === words.join("\n")) return;
      said = words.join("\n");
      if (words.length === 0) notice.hide();
      else notice.say(lost ? "bad" : "warn", ...words.map((text) => el("p", {}, ...withCommands(text))));
    },
    /**
     * @returns {string | null | undefined} the model that is loaded now, null when none is, undefined while
     * nobody knows
     */
    loadedModel: () => health?.worker.model,
    /** @param {(model: string) => string[]} aliases @returns {import("./estimate.js").Machine | null} */
    forEstimates(aliases) {
      if (!health || !batches) return null;
      const { queue, worker } = health;
      return {
        worker,
        hindrance: !queue.accepting ? "refused" : isGone(worker) ? "no worker" : null,
        ...batches,
        aliases,
      };
    },
  };
}

/** @param {Health["worker"]} worker */
function isGone({ status }) {
  return status === "none" || status === "lost";
}

/** Why a batch of so many requests would be refused now, or would wait.
 * @param {Pick<Health, "queue" | "worker">} health @param {number} requests @returns {string[]} */
function warningsOf({ queue, worker }, requests) {
  const warnings = [];
  const room = Math.max(0, queue.max_queued_requests - queue.queued_requests);
  if (!queue.accepting)
    warnings.push(queue.reason ? `No batch is accepted now: ${queue.reason}.` : "No batch is accepted now.");
  else if (requests > room)
    warnings.push(
      `The queue has room for ${plural(room, "request")} now; this file has ${integer(requests)}. Wait, or split it.`,
    );
  if (isGone(worker)) {
    const gone = worker.status === "none" ? "No worker is running" : "The worker is lost";
    warnings.push(`${gone}: the batch will wait until one is started with make worker.`);
  }
  return warnings;
}
