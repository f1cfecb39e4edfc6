// Asks the API to run what ended without an answer again. Asked once more while nobody knows what became of the first
// time, it counts once.

import { callJson, isRefused, UnreachableError } from "./api.js";
import { batchPath } from "./batches.js";
import { newIdempotencyKey } from "./upload.js";

/** @type {Map<string, string>} the keys of retries that are not settled, by batch */
const keys = new Map();

/** @param {string} batchId @returns {Promise<import("./upload.js").Receipt>} of the new batch */
export async function retryBatch(batchId) {
  const key = keys.get(batchId) ?? newIdempotencyKey();
  keys.set(batchId, key);
  try {
    const receipt = await callJson(`${batchPath(batchId)}/retry`, {
      method: "POST",
      headers: { "idempotency-key": key },
    });
    keys.delete(batchId);
    return receipt;
  } catch (error) {
    if (isRefused(error)) keys.delete(batchId); // refused for good
    if (error instanceof UnreachableError)
      throw new UnreachableError(`${error.message} Nothing is lost: retry again and it counts once.`);
    throw error;
  }
}
