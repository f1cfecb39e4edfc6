// Finds the row that somebody names, by its number or by its custom_id: its place among all that match, in the order shown.

import { callJson } from "./api.js";
import { pagePath, questionsBefore } from "./table_place.js";

/** @typedef {import("./columns.js").Column} Column */
/** @typedef {import("./wire.js").AnswerTable} AnswerTable */
/** @typedef {import("./wire.js").AnswerRow} AnswerRow */

/**
 * @param {import("./table_place.js").TablePlace} place @param {string} prefix how the custom_id begins
 * @param {{ order: Column | undefined, isWhole: boolean }} shown the column of the order; whether these are all lines of the file
 * @returns {Promise<{ index: number, customId: string } | null>} `index` counted from 0; null: there is none
 */
export async function findRow(place, prefix, { order, isWhole }) {
  /** @type {AnswerTable} */
  const found = await callJson(pagePath({ ...place, customId: prefix }, order?.path ? [order.path] : [], 0, 1));
  const row = found.data[0];
  if (!row) return null;
  if (isWhole && place.sort === "line") return { index: row.line - 1, customId: row.custom_id };
  const before = questionsBefore(place, { line: row.line, value: order ? valueIn(order, row) : row.line });
  const totals = await Promise.all(before.map(async (question) => (await callJson(pagePath(question, [], 0, 1))).total));
  return { index: totals.reduce((sum, total) => sum + total, 0), customId: row.custom_id };
}

/** @param {Column} column @param {AnswerRow} row */
function valueIn({ id, path }, row) {
  if (path !== null) return row.values[path];
  return id === "answer" ? row.text : row[/** @type {keyof AnswerRow} */ (id)];
}

/** @param {string} word what somebody typed @param {number} total */
export function rowNumber(word, total) {
  const number = Number(word.replaceAll(",", ""));
  return Number.isInteger(number) && number >= 1 && number <= total ? { index: number - 1, customId: "" } : null;
}
