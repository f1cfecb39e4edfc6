// What a comparison's address says: which batches, which field, which rows. Pure.

import { MOST_BATCHES } from "./batches.js";

/** @typedef {"flipped" | "different" | "same" | "unmatched" | "all"} Only */
/** @typedef {"line" | "change" | "-change"} Sort */
/**
 * @typedef {{ batches: string[], field: string, only: Only, sort: Sort, offset: number, open: string }} Place
 * `field` empty: the likeliest; `open`: the custom_id of the row that is shown in full
 */

const ONLY = ["flipped", "different", "same", "unmatched", "all"];
const SORTS = ["line", "change", "-change"];

/** @param {string} search the address's query @returns {Place} */
export function readPlace(search) {
  const asked = new URLSearchParams(search);
  const only = asked.get("only") ?? "";
  const sort = asked.get("sort") ?? "";
  const offset = Number(asked.get("offset"));
  return {
    batches: [...new Set(asked.getAll("batch").filter(Boolean))].slice(0, MOST_BATCHES),
    field: asked.get("field") ?? "",
    only: /** @type {Only} */ (ONLY.includes(only) ? only : "different"),
    sort: /** @type {Sort} */ (SORTS.includes(sort) ? sort : "line"),
    offset: Number.isInteger(offset) && offset > 0 && offset < 2 ** 31 ? offset : 0,
    open: asked.get("open") ?? "",
  };
}

/** The same place as a query, without what is as usual.
 * @param {Place} place */
export function writePlace({ batches, field, only, sort, offset, open }) {
  const asked = new URLSearchParams(batches.map((id) => ["batch", id]));
  if (field) asked.set("field", field);
  if (only !== "different") asked.set("only", only);
  if (sort !== "line") asked.set("sort", sort);
  if (offset > 0) asked.set("offset", String(offset));
  if (open) asked.set("open", open);
  return `?${asked}`;
}

/** The question for `/v1/compare` and `/v1/compare/rows`.
 * @param {string[]} batches @param {Record<string, string | number | boolean>} [more] */
export function question(batches, more = {}) {
  const asked = new URLSearchParams(batches.map((id) => ["batch", id]));
  for (const [name, value] of Object.entries(more)) if (value !== "") asked.set(name, String(value));
  return asked.toString();
}
