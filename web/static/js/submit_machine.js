// What the page knows of the machine: what it allows, what it does now and did lately.

import { callJson } from "./api.js";

/** @typedef {import("./wire.js").Batch} Batch */
/** @typedef {import("./wire.js").Health} Health */

const RECENT = 50;

export function createMachine() {
  /** What the server allows unless its /health says otherwise. */
  const limits = { maxRequests: 50_000, maxFileBytes: 200 * 2 ** 20, maxLineBytes: 4 * 2 ** 20 };
  /** @type {Health | null} */
  let health = null;
  /** @type {{ open: Batch[], finished: Batch[] } | null} */
  let batches = null;
  return {
    limits,
    /** @returns {Promise<Health>} */
    async read() {
      const found = /** @type {Health} */ (await callJson("/health"));
      const { queue } = found;
      Object.assign(limits, { maxRequests: queue.max_requests_per_batch, maxFileBytes: queue.max_file_bytes });
      if (queue.max_line_bytes) limits.maxLineBytes = queue.max_line_bytes;
      health = found;
      return found;
    },
    /** What an estimate needs besides; without it there is none. */
    async readBatches() {
      /** @type {import("./wire.js").BatchList[]} */
      const [active, done] = await Promise.all([callJson("/v1/batches?status=active&limit=100"), callJson(`/v1/batches?status=completed&limit=${RECENT}`)]);
      batches = { open: active.data, finished: done.data };
    },
    /** How many more requests the queue takes. */
    get room() {
      return health ? health.queue.max_queued_requests - health.queue.queued_requests : Infinity;
    },
    /** @param {(model: string) => string[]} aliases @returns {import("./submit_estimate.js").Machine | null} */
    forEstimates(aliases) {
      return health && batches && { worker: health.worker, ...batches, aliases };
    },
  };
}
