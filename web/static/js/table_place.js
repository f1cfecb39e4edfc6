// What a table shows, as the page's address has it: a batch, a question to it, and how the columns look. Pure.

import { filterQuery, placeOf } from "./results_place.js";

/** @typedef {import("./results_place.js").Place} Place */
/**
 * @typedef {Place & {
 *   batch: string, columns: string[] | null, widths: Record<string, number>, wrap: boolean, row: number,
 * }} TablePlace `columns` null: the usual ones; `row` is the topmost one, counted from 0
 */

export const PAGE_ROWS = 100;
const WIDTH = /^(.+):(\d{2,4})$/s;

/** @param {string} search of the page's address @returns {TablePlace} */
export function tablePlaceOf(search) {
  const asked = new URLSearchParams(search);
  const widths = asked.getAll("width").flatMap((word) => {
    const match = WIDTH.exec(word);
    return match ? [/** @type {[string, number]} */ ([match[1], Number(match[2])])] : [];
  });
  const row = asked.get("row") ?? "";
  return {
    ...placeOf(search),
    sort: asked.get("sort") || "line",
    batch: asked.get("batch") ?? "",
    columns: asked.has("column") ? asked.getAll("column").filter(Boolean) : null,
    widths: Object.fromEntries(widths),
    wrap: asked.get("wrap") === "1",
    row: /^\d{1,9}$/.test(row) ? Math.max(0, Number(row) - 1) : 0,
  };
}

/** @param {TablePlace} place */
export function tableAddress(place) {
  const { batch, sort, columns, widths, wrap, row } = place;
  /** @type {[string, string][]} */
  const look = [
    ...(sort === "line" ? [] : [/** @type {[string, string]} */ (["sort", sort])]),
    ...(columns?.length === 0 ? [""] : columns ?? []).map((id) => /** @type {[string, string]} */ (["column", id])),
    ...Object.entries(widths).map(([id, width]) => /** @type {[string, string]} */ (["width", `${id}:${width}`])),
  ];
  if (wrap) look.push(["wrap", "1"]);
  if (row > 0) look.push(["row", String(row + 1)]);
  const all = [...(batch ? [["batch", batch]] : []), ...filterQuery(place), ...look];
  return `?${new URLSearchParams(all)}`;
}

/** Two places with the same question have the same rows in the same order.
 * @param {TablePlace} place */
export function questionOf(place) {
  return `${place.batch}?${new URLSearchParams([...filterQuery(place), ["sort", place.sort]])}`;
}

/** @param {TablePlace} place @param {string[]} paths of JSON fields @param {number} page @param {number} [rows] of a page */
export function pagePath(place, paths, page, rows = PAGE_ROWS) {
  const more = [["offset", String(page * rows)], ["limit", String(rows)]];
  return `${batchPath(place)}/answers?${new URLSearchParams([...asked(place, paths), ...more])}`;
}

/** A file of every row that matches.
 * @param {TablePlace} place @param {string[]} paths @param {"csv" | "jsonl"} format */
export function exportPath(place, paths, format) {
  return `${batchPath(place)}/export?${new URLSearchParams([...asked(place, paths), ["format", format]])}`;
}

/** The values of one column, of the rows that match but for what is said about that column.
 * @param {TablePlace} place as it is without the column @param {string} column */
export function distributionPath(place, column) {
  return `${batchPath(place)}/distribution?${new URLSearchParams([...filterQuery(place), ["column", column], ["bins", "2"]])}`;
}

/** @param {TablePlace} place @param {string[]} paths */
function asked(place, paths) {
  return [...filterQuery(place), ["sort", place.sort], ...paths.map((path) => ["columns", path])];
}

/** @param {TablePlace} place */
export function batchPath({ batch }) {
  return `/v1/batches/${encodeURIComponent(batch)}`;
}

/** File order, then ascending, descending, and file order again.
 * @param {string} sort @param {string} column */
export function nextSort(sort, column) {
  if (sort === column) return `-${column}`;
  return sort === `-${column}` ? "line" : column;
}

/** The questions whose totals add up to the number of rows before this one. Nothing sorts last, equals by line.
 * @param {TablePlace} place @param {{ line: number, value: any }} row with its value in the column of the order
 * @returns {TablePlace[]} */
export function questionsBefore(place, { line, value }) {
  const column = place.sort.replace(/^-/, "");
  const more = (/** @type {[string, string, string][]} */ ...conditions) => ({
    ...place,
    where: [...place.where, ...conditions.map(([name, operator, word]) => ({ column: name, operator, value: word }))],
    sort: "line",
  });
  const descending = place.sort.startsWith("-");
  if (column === "line") return [more(["line", descending ? "gt" : "lt", String(line)])];
  const earlier = /** @type {[string, string, string]} */ (["line", "lt", String(line)]);
  if (value === null || value === undefined || value === "") return [more([column, "present", ""]), more([column, "empty", ""], earlier)];
  return [more([column, descending ? "gt" : "lt", String(value)]), more([column, "eq", String(value)], earlier)];
}
