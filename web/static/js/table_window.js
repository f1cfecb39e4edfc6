// Which rows of a long table are drawn, and where the others would be. Pure.

const MARGIN_ROWS = 8;
/** So many cells at once at most, whatever the screen. */
const MOST_CELLS = 900;

/** @typedef {{ first: number, end: number }} Rows from `first` to before `end`, counted from 0 */

/**
 * @param {{ top: number, height: number, rowHeight: number, total: number, columns: number }} view
 * @returns {{ seen: Rows, drawn: Rows }}
 */
export function rowsAt({ top, height, rowHeight, total, columns }) {
  const most = Math.max(1, Math.ceil(height / rowHeight) + 1);
  const first = Math.max(0, Math.min(Math.floor(top / rowHeight), total - 1));
  const seen = { first, end: Math.min(total, first + most) };
  const spare = Math.floor((MOST_CELLS / Math.max(1, columns) - most) / 2);
  const margin = Math.max(0, Math.min(MARGIN_ROWS, spare));
  return { seen, drawn: { first: Math.max(0, first - margin), end: Math.min(total, seen.end + margin) } };
}

/** The numbers of the pages that have these rows.
 * @param {Rows} rows @param {number} pageRows @returns {number[]} */
export function pagesOf({ first, end }, pageRows) {
  if (end <= first) return [Math.floor(first / pageRows)];
  const low = Math.floor(first / pageRows);
  const high = Math.floor((end - 1) / pageRows);
  return Array.from({ length: high - low + 1 }, (_, index) => low + index);
}
