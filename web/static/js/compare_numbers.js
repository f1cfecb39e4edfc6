// What numbers and words of two batches amount to: changes, bars of a histogram, a table of agreement. Pure.

/** @typedef {import("./wire.js").Bin} Bin */
/** @typedef {{ low: number, high: number, count: number }} Bar */
/** @typedef {{ baseline: any, other: any, count: number }} Pair */

const MOST_STEPS = 29; // of sixty bins: then none that has a half has a whole number
const BARS = 20;
const GOOD = /^(advance|accept(ed)?|approved?|pass(ed)?|yes|hired?|true|good|positive|correct|ok|strong)$/i;
const BAD = /^(reject(ed)?|declined?|denied|fail(ed)?|no|no[ _-]hire|false|bad|negative|incorrect|wrong|weak)$/i;

/** 0.31 → "▲ +0.31", −2 → "▼ −2", nothing → "±0"
 * @param {number} value @param {number} [digits] at most */
export function signed(value, digits = 2) {
  const size = trimmed(Math.abs(value), digits);
  return size === "0" ? "±0" : `${value > 0 ? "▲ +" : "▼ −"}${size}`;
}

/** At most so many digits after the point, none that say nothing: 6.80 → "6.8"
 * @param {number | null | undefined} value @param {number} [digits] */
export function trimmed(value, digits = 2) {
  if (value == null) return "–";
  const text = String(Number(value.toFixed(digits)));
  return text === "-0" ? "0" : text.replace("-", "−");
}

/** @param {number} value */
export function direction(value) {
  return value > 0 ? "up" : value < 0 ? "down" : "";
}

/** The API's narrow bins as bars: one for each whole number when the differences are whole, else about twenty.
 * @param {Bin[]} bins @returns {Bar[]} */
export function bars(bins) {
  if (bins.length === 0) return [];
  return wholeSteps(bins) ?? wider(bins);
}

/** @param {Bin[]} bins @returns {Bar[] | null} null when the differences are not all whole numbers */
function wholeSteps(bins) {
  const [low, high] = [bins[0].start, bins[bins.length - 1].end];
  const [first, last] = [Math.round(low), bins.length === 1 ? Math.round(low) : Math.round(high)];
  const slack = 1e-6 * Math.max(1, Math.abs(low), Math.abs(high));
  if (Math.abs(first - low) > slack || last - first > MOST_STEPS) return null;
  if (bins.length > 1 && (Math.abs(last - high) > slack || bins.length <= last - first)) return null;
  const steps = Array.from({ length: last - first + 1 }, (_, step) => ({ low: first + step, high: first + step, count: 0 }));
  for (const [number, { start, end, count }] of bins.entries()) {
    if (count === 0) continue;
    const value = number === bins.length - 1 ? last : Math.ceil(start - slack);
    if (value > end + slack) return null;
    steps[value - first].count += count;
  }
  return steps;
}

/** @param {Bin[]} bins @returns {Bar[]} */
function wider(bins) {
  const each = Math.ceil(bins.length / BARS);
  const found = [];
  for (let at = 0; at < bins.length; at += each) {
    const some = bins.slice(at, at + each);
    found.push({ low: some[0].start, high: some[some.length - 1].end, count: some.reduce((sum, { count }) => sum + count, 0) });
  }
  return found;
}

/** The words on both sides, the most frequent first, and how often each became which.
 * @param {Pair[]} pairs @param {number} [most] words on each side, the others count as `rest` */
export function agreementTable(pairs, most = 7) {
  /** @type {Map<string, number>} */
  const totals = new Map();
  for (const { baseline, other, count } of pairs) {
    for (const value of [baseline, other]) totals.set(word(value), (totals.get(word(value)) ?? 0) + count);
  }
  const values = [...totals].sort(([, one], [, two]) => two - one).map(([value]) => value).slice(0, most);
  const places = new Map(values.map((value, index) => [value, index]));
  const cells = values.map(() => values.map(() => 0));
  let rest = 0;
  for (const { baseline, other, count } of pairs) {
    const [row, column] = [places.get(word(baseline)), places.get(word(other))];
    if (row === undefined || column === undefined) rest += count;
    else cells[row][column] += count;
  }
  return { values, cells, rest };
}

/** The most frequent changes of a word, without what stayed.
 * @param {Pair[]} pairs @param {number} most */
export function frequentChanges(pairs, most) {
  return pairs
    .filter(({ baseline, other }) => word(baseline) !== word(other))
    .sort((one, two) => two.count - one.count)
    .slice(0, most);
}

/** A value of an answer's JSON in words.
 * @param {any} value */
export function word(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The colour and sign of a verdict; other words have none.
 * @param {any} value */
export function toneOf(value) {
  const text = word(value) ?? "";
  if (GOOD.test(text.trim())) return { tone: "ok", icon: "check" };
  return BAD.test(text.trim()) ? { tone: "bad", icon: "cross" } : { tone: "", icon: "dot" };
}

/** How deep a cell is coloured, 0 to 4, by its share.
 * @param {number} count @param {number} most */
export function heat(count, most) {
  return count === 0 || most === 0 ? 0 : Math.max(1, Math.round((4 * count) / most));
}
