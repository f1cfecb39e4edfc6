// The bars of a histogram, each with the filter that shows just its rows. Pure.

import { integer } from "./format.js";
import { secondsText } from "./row_reading.js";

/** @typedef {import("./results_place.js").Condition} Condition */
/** @typedef {{ start: number, end: number, count: number }} Bin */
/** @typedef {{ key: string, label: string, count: number, conditions: Condition[], low: number, high: number }} Bar */

/** @param {string} column @param {Bin[]} bins @param {boolean} whole whether only whole numbers occur; else they are seconds
 * @returns {Bar[]} */
export function barsOf(column, bins, whole) {
  const drawn = bins.length === 1 ? [{ ...bins[0], end: bins[0].start }] : bins; // one bin is one value
  return drawn.flatMap((bin, index) => {
    const isLast = index === drawn.length - 1;
    const bar = whole ? wholeBar(column, bin, isLast) : secondsBar(column, bin, isLast);
    return bar ? [bar] : [];
  });
}

/** Between two whole numbers there is nothing, and so no bar.
 * @param {string} column @param {Bin} bin @param {boolean} isLast @returns {Bar | null} */
function wholeBar(column, { start, end, count }, isLast) {
  const low = Math.ceil(start - 1e-9) + 0; // and not -0
  const high = isLast ? Math.floor(end + 1e-9) : Math.ceil(end - 1e-9) - 1;
  if (high < low) return null;
  const conditions = [condition(column, "ge", low), condition(column, "le", high)];
  return { key: `${low}`, label: low === high ? integer(low) : `${integer(low)} – ${integer(high)}`, count, conditions, low, high };
}

/** @param {string} column @param {Bin} bin @param {boolean} isLast @returns {Bar} */
function secondsBar(column, { start, end, count }, isLast) {
  const conditions = [condition(column, "ge", start), condition(column, isLast ? "le" : "lt", end)];
  return { key: `${start}`, label: start === end ? secondsText(start) : `${secondsText(start)} – ${secondsText(end)}`, count, conditions, low: start, high: end };
}

/** @param {string} column @param {string} operator @param {number} value @returns {Condition} */
function condition(column, operator, value) {
  return { column, operator, value: String(value) };
}

/** Whether a bar lies within what the filter lets pass.
 * @param {Bar} bar @param {Condition[]} where */
export function isChosen(bar, where) {
  const own = where.filter(({ column }) => column === bar.conditions[0].column);
  return own.length > 0 && own.every((one) => reaches(bar, one));
}

/** @param {Bar} bar @param {Condition} condition */
function reaches({ low, high }, { operator, value }) {
  const bound = Number(value);
  if (operator === "ge" || operator === "gt") return low >= bound;
  if (operator === "le" || operator === "lt") return high <= bound;
  return operator === "eq" && low <= bound && bound <= high;
}

/** The number in the middle of the counted ones, roughly; null without any.
 * @param {Bar[]} bars @returns {Bar | null} the bar that has it */
export function middleOf(bars) {
  const half = bars.reduce((sum, { count }) => sum + count, 0) / 2;
  let seen = 0;
  for (const bar of bars) {
    seen += bar.count;
    if (seen > 0 && seen >= half) return bar;
  }
  return null;
}
