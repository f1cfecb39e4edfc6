// Reads the answers of a batch as a stream, up to a bound, so that a page's memory stays small whatever the batch.

import { call } from "./api.js";
import { isBlank, jsonIn, readAnswer, readLines, textOf } from "./parsers.js";

const MAX_LINE_BYTES = 8 * 2 ** 20;

/** @typedef {import("./parsers.js").Answer & { json: any }} ReadAnswer `json` undefined when the text holds none */

/**
 * @param {string} batchId
 * @param {{ maxRows: number, signal?: AbortSignal, onProgress?: (rows: number) => void }} options
 * @returns {Promise<{ answers: ReadAnswer[], cut: boolean }>} `cut`: there were more than `maxRows`
 */
export async function readAnswers(batchId, { maxRows, signal, onProgress }) {
  const response = await call(`/v1/batches/${encodeURIComponent(batchId)}/results`, { signal, untimed: true });
  /** @type {ReadAnswer[]} */
  const answers = [];
  if (!response.body) return { answers, cut: false };
  for await (const lines of readLines(response.body, MAX_LINE_BYTES)) {
    for (const { bytes } of lines) {
      if (bytes === null || isBlank(bytes)) continue;
      if (answers.length === maxRows) return { answers, cut: true };
      const answer = readAnswer(JSON.parse(textOf(bytes) ?? "null"));
      answers.push({ ...answer, json: jsonIn(answer.text) });
    }
    onProgress?.(answers.length);
  }
  return { answers, cut: false };
}
