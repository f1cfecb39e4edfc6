// A batch of the past as the start of a new one: its file, model, priority and metadata.

import { call, callJson } from "../shared/api.js";
import { batchPath, displayName } from "../shared/batches.js";

/** @typedef {import("../shared/wire.js").Batch} Batch */

/**
 * @param {string} batchId
 * @returns {Promise<{ batch: Batch, title: string, file: File }>} rejects when the batch or its file is gone
 */
export async function readClone(batchId) {
  /** @type {Batch} */
  const batch = await callJson(batchPath(batchId));
  const answer = await call(`/v1/files/${encodeURIComponent(batch.input_file_id ?? "")}/content`, {
    untimed: true,
  });
  return {
    batch,
    title: displayName(batch),
    file: new File([await answer.blob()], batch.filename ?? `${batchId}.jsonl`),
  };
}
