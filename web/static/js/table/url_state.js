// What a table shows, as the page's address has it: batches, a question to them, and how the columns look. Pure.

import { batchPath, MOST_BATCHES } from "../shared/batches.js";
import { filterQuery, isFiltered, placeOf } from "../shared/row_query.js";

/** @typedef {import("../shared/row_query.js").Place} Place */
/**
 * @typedef {Place & {
 *   batches: string[], having: string, columns: string[] | null, widths: Record<string, number>, wrap:
 * boolean, row: number,
 * }} TablePlace `having`: which of several batches have the row; empty: any. `columns` null: the usual ones.
 * `row` is the
 * topmost one, counted from 0. Of several batches a column has the number of its batch in front, as `2.score`
 */

export const PAGE_ROWS = 100;
const WIDTH = /^(.+):(\d{2,4})$/s;
const HAVING = ["matched", "unmatched", "1", "2", "3", "4"];

/** @param {string} search of the page's address @returns {TablePlace} */
export function tablePlaceOf(search) {
  const asked = new URLSearchParams(search);
  const batches = [...new Set(asked.getAll("batch").filter(Boolean))].slice(0, MOST_BATCHES);
  const having = asked.get("having") ?? "";
  const widths = asked.getAll("width").flatMap((word) => {
    const match = WIDTH.exec(word);
    return match ? [/** @type {[string, number]} */ ([match[1], Number(match[2])])] : [];
  });
  const row = asked.get("row") ?? "";
  return {
    ...placeOf(search),
    sort: asked.get("sort") || "line",
    batches,
    having: batches.length > 1 && HAVING.includes(having) && !(Number(having) > batches.length) ? having : "",
    columns: asked.has("column") ? asked.getAll("column").filter(Boolean) : null,
    widths: Object.fromEntries(widths),
    wrap: asked.get("wrap") === "1",
    row: /^\d{1,9}$/.test(row) ? Math.max(0, Number(row) - 1) : 0,
  };
}

/** @param {TablePlace} place */
export function tableAddress(place) {
  const { sort, columns, widths, wrap, row } = place;
  /** @type {[string, string][]} */
  const look = [
    ...(sort === "line" ? [] : [/** @type {[string, string]} */ (["sort", sort])]),
    ...(columns?.length === 0 ? [""] : (columns ?? [])).map(
      (id) => /** @type {[string, string]} */ (["column", id]),
    ),
    ...Object.entries(widths).map(
      ([id, width]) => /** @type {[string, string]} */ (["width", `${id}:${width}`]),
    ),
  ];
  if (wrap) look.push(["wrap", "1"]);
  if (row > 0) look.push(["row", String(row + 1)]);
  return `?${new URLSearchParams([...batchQuery(place), ...filtersOf(place), ...look])}`;
}

/** Two places with the same question have the same rows in the same order.
 * @param {TablePlace} place */
export function questionOf(place) {
  return `${new URLSearchParams([...batchQuery(place), ...filtersOf(place), ["sort", place.sort]])}`;
}

/**
 * @param {TablePlace} place
 * @param {string[]} paths of JSON fields
 * @param {number} page
 * @param {number} [rows] of a page
 */
export function pagePath(place, paths, page, rows = PAGE_ROWS) {
  return pathTo("answers", place, [
    ...asked(place, paths),
    ["offset", String(page * rows)],
    ["limit", String(rows)],
  ]);
}

/** A file of every row that matches.
 * @param {TablePlace} place @param {string[]} paths @param {"csv" | "jsonl"} format */
export function exportPath(place, paths, format) {
  return pathTo("export", place, [...asked(place, paths), ["format", format]]);
}

/** The values of one column, of the rows that match but for what is said about that column.
 * @param {TablePlace} place as it is without the column @param {string} column */
export function distributionPath(place, column) {
  return pathTo("distribution", place, [...filtersOf(place), ["column", column], ["bins", "2"]]);
}

/** @param {TablePlace} place */
export function isJoined({ batches }) {
  return batches.length > 1;
}

/** @param {TablePlace} place */
export function isNarrowed(place) {
  return isFiltered(place) || place.having !== "";
}

/** @param {string} what @param {TablePlace} place @param {string[][]} query */
function pathTo(what, place, query) {
  if (isJoined(place)) return `/v1/compare/${what}?${new URLSearchParams([...batchQuery(place), ...query])}`;
  return `${batchPath(place.batches[0])}/${what}?${new URLSearchParams(query)}`;
}

/** @param {TablePlace} place @param {string[]} paths @returns {string[][]} */
function asked(place, paths) {
  return [...filtersOf(place), ["sort", place.sort], ...paths.map((path) => ["columns", path])];
}

/** @param {TablePlace} place @returns {string[][]} */
function filtersOf(place) {
  return [...filterQuery(place), ...(place.having ? [["having", place.having]] : [])];
}

/** @param {{ batches: string[] }} place */
export function batchQuery({ batches }) {
  return new URLSearchParams(batches.map((id) => ["batch", id]));
}

/** All rows in the order of the file.
 * @param {TablePlace} place @returns {TablePlace} */
export function withoutFilters(place) {
  return { ...place, text: "", customId: "", status: "", code: "", having: "", where: [], sort: "line" };
}
