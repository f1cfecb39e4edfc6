// The columns a table of answers can have: what the ledger knows of each, and the fields of the answers' JSON. Pure.

import { requestState } from "../shared/batches.js";
import { integer } from "../shared/format.js";

/** @typedef {import("../shared/wire.js").AnswerRow} AnswerRow */
/** @typedef {import("../shared/wire.js").JoinedRow} Row */
/** @typedef {import("../shared/wire.js").Field} Field */
/** @typedef {"id" | "text" | "answer" | "state" | "number"} Kind */
/**
 * @typedef {{
 *   id: string, title: string, kind: Kind, path: string | null, answers: number | null, batch: number
 * }} Column `path` of a JSON field; `answers` that have it; `batch`: whose it is of those in the table, counted from 0.
 * A field named like a built-in column has `$.` in its id
 */

const FREQUENT = 6;
const FEW = 4;
/** More columns at once would make a page's worth of rows heavy. */
export const MOST_COLUMNS = 20;
export const LEAST_WIDTH = 64;
export const MOST_WIDTH = 1200;

const NARROW = 520;
const SHORT_ANSWER = 260;
/** Of the table's font, on average. */
const CHARACTER = 7.3;
const TITLE_CHARACTER = 8;
/** The sign of the order and the dots of the menu. */
const BESIDE_TITLE = 62;

/**
 * @type {Record<Kind, { least: number, most: number, beside: number }>} pixels; `beside`: what stands beside
 * the words
 */
const WIDTHS = {
  id: { least: 150, most: 300, beside: 84 },
  text: { least: 84, most: 300, beside: 26 },
  answer: { least: 420, most: 420, beside: 26 },
  state: { least: 128, most: 128, beside: 26 },
  number: { least: 84, most: 150, beside: 26 },
};

/** @type {Column[]} */
const BUILT_IN = [
  builtIn("custom_id", "custom_id", "id"),
  builtIn("answer", "Answer", "answer"),
  builtIn("status", "Status", "state"),
  builtIn("output_tokens", "Tokens out", "number"),
  builtIn("input_tokens", "Tokens in", "number"),
  builtIn("seconds", "Seconds", "number"),
  builtIn("finish_reason", "Finish", "text"),
  builtIn("error_code", "Error", "text"),
  builtIn("status_code", "HTTP status", "number"),
  builtIn("attempts", "Attempts", "number"),
  builtIn("line", "Line", "number"),
];

/** @param {string} id @param {string} title @param {Kind} kind @returns {Column} */
function builtIn(id, title, kind) {
  return { id, title, kind, path: null, answers: null, batch: 0 };
}

/** All that a batch offers, its JSON fields first.
 * @param {Field[]} fields the most frequent first @returns {Column[]} */
export function columnsOf(fields) {
  return [BUILT_IN[0], ...fields.map(fieldColumn), ...BUILT_IN.slice(1)];
}

/** A field with the name of a built-in column is shown, but the API takes its name for the other one.
 * @param {Field} field @returns {Column} */
function fieldColumn({ path, answers, is_number: isNumber }) {
  const isTaken = BUILT_IN.some(({ id }) => id === path);
  return {
    id: isTaken ? `$.${path}` : path,
    title: path,
    kind: isNumber ? "number" : "text",
    path,
    answers,
    batch: 0,
  };
}

/** What is shown until somebody chooses: the most frequent fields, or the words where there are few of them.
 * @param {Column[]} columns @param {{ hasFailures: boolean, most?: number }} facts @returns {string[]} */
export function defaultColumns(columns, { hasFailures, most = FREQUENT }) {
  const fields = columns.filter(({ path }) => path !== null).slice(0, most);
  const rest = [fields.length < Math.min(FEW, most) && "answer", hasFailures && "status", "output_tokens"];
  return ["custom_id", ...fields.map(({ id }) => id), ...rest.filter((id) => id !== false)];
}

/** Those with these ids, in this order, batch by batch; the custom_id is always there, and first.
 * @param {Column[]} columns @param {string[]} ids @returns {Column[]} */
export function chosenColumns(columns, ids) {
  const wanted = [...new Set(["custom_id", ...ids])];
  return wanted
    .flatMap((id) => columns.find((column) => column.id === id) ?? [])
    .slice(0, MOST_COLUMNS)
    .sort((one, two) => one.batch - two.batch);
}

/**
 * @param {string[]} ids
 * @param {string} id
 * @param {number} place where it goes to; the first place is the custom_id's
 * @returns {string[]}
 */
export function moved(ids, id, place) {
  const others = ids.filter((other) => other !== id);
  const at = Math.min(Math.max(1, place), others.length);
  return [...others.slice(0, at), id, ...others.slice(at)];
}

/** @param {Column} column @param {Row} row @returns {string} */
export function cellText(column, row) {
  return column.id === "custom_id" ? row.custom_id : answerText(column, row.answers[column.batch]);
}

/** @param {Column} column @param {AnswerRow | null} answer */
function answerText(column, answer) {
  if (answer === null) return "";
  if (column.path !== null) return valueText(answer.values[column.path]);
  const name = nameOf(column);
  if (name === "answer") return answer.text + (answer.is_cut ? " …" : "");
  const value = answer[/** @type {keyof AnswerRow} */ (name)];
  if (name === "seconds") return typeof value === "number" ? value.toFixed(2) : "";
  if (name === "status") return requestState(answer.status).word;
  return typeof value === "number" && name !== "status_code" ? integer(value) : valueText(value);
}

/** What a built-in column is called, whosever it is.
 * @param {Column} column */
function nameOf({ id }) {
  return id.replace(/^\d\./, "");
}

/** @param {any} value */
function valueText(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** What a column needs for its title and the words of these rows, within reason.
 * @param {Column} column @param {Row[]} rows @returns {number} pixels */
export function naturalWidth(column, rows) {
  const { least, most, beside } = WIDTHS[column.kind];
  const longest = Math.max(0, ...rows.map((row) => Math.min(100, cellText(column, row).length)));
  const needed = Math.max(longest * CHARACTER + beside, column.title.length * TITLE_CHARACTER + BESIDE_TITLE);
  return Math.min(most, Math.max(least, Math.round(needed)));
}

/** The width of each column in pixels. What room is left goes to the words that have too little; what is missing is
 * taken from the answers, which are the longest and cut anyway.
 * @param {Column[]} columns
 * @param {{ chosen: Record<string, number>, natural: number[], room: number }} sizes
 * @returns {number[]}
 */
export function columnWidths(columns, { chosen, natural, room }) {
  const widths = columns.map(
    ({ id, kind }, index) =>
      chosen[id] ?? (room < NARROW && kind === "id" ? Math.min(160, natural[index]) : natural[index]),
  );
  const left = room - widths.reduce((sum, width) => sum + width, 0);
  const words = columns.map(
    ({ id, kind }) => chosen[id] === undefined && (kind === "answer" || kind === "text"),
  );
  const full = words.map((isWords, index) => isWords && widths[index] >= WIDTHS[columns[index].kind].most);
  const takers = full.includes(true) ? full : words;
  const share = Math.floor(left / takers.filter(Boolean).length);
  if (left > 0) return widths.map((width, index) => (takers[index] ? width + share : width));
  return widths.map((width, index) =>
    words[index] && columns[index].kind === "answer" ? Math.max(SHORT_ANSWER, width + left) : width,
  );
}

/** @param {number} width */
export function boundedWidth(width) {
  return Math.round(Math.min(MOST_WIDTH, Math.max(LEAST_WIDTH, width)));
}
