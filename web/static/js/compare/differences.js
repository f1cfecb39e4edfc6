// What differs between answers. Of many: changes of a number, bars of a histogram, a table of agreement. Of
// one request:
// fields of the JSON, the place where texts part, pieces of a word difference. Pure.

import { jsonIn } from "../shared/parsers.js";

/** @typedef {import("../shared/wire.js").Bin} Bin */
/** @typedef {{ low: number, high: number, count: number }} Bar */
/** @typedef {{ baseline: any, other: any, count: number }} Pair */
/** @typedef {{ kind: "same" | "removed" | "added", text: string }} Piece */
/**
 * @typedef {{ label: string, values: (any | undefined)[], isField: boolean }} Line `values` undefined where
 * there is none
 */

const MOST_STEPS = 29; // of sixty bins: then none that has a half has a whole number
const BARS = 20;
const GOOD = /^(advance|accept(ed)?|approved?|pass(ed)?|yes|hired?|true|good|positive|correct|ok|strong)$/i;
const BAD =
  /^(reject(ed)?|declined?|denied|fail(ed)?|no|no[ _-]hire|false|bad|negative|incorrect|wrong|weak)$/i;
const MAX_DEPTH = 5;
const MAX_LEAVES = 200;
const LEAD = 60;
export const ANSWER = "answer";

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
  const steps = Array.from({ length: last - first + 1 }, (_, step) => ({
    low: first + step,
    high: first + step,
    count: 0,
  }));
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
    found.push({
      low: some[0].start,
      high: some[some.length - 1].end,
      count: some.reduce((sum, { count }) => sum + count, 0),
    });
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
  const values = [...totals]
    .sort(([, one], [, two]) => two - one)
    .map(([value]) => value)
    .slice(0, most);
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

/** What to show of one request: the fields whose values differ when all answers hold JSON, else the texts.
 * @param {import("../shared/wire.js").ComparedRow} row @returns {Line[]} */
export function linesOf({ answers }) {
  const there = answers.filter((answer) => answer !== null);
  const texts = answers.map((answer) => answer?.text);
  const whole = { label: ANSWER, values: texts, isField: false };
  if (there.length < 2 || there.every(({ text }) => text === there[0].text)) return [whole];
  const values = answers.map((answer) => (answer && !answer.error_code ? jsonIn(answer.text) : undefined));
  if (answers.some((answer, side) => answer !== null && values[side] === undefined)) return [whole];
  const fields = differingFields(values.map((value, side) => (answers[side] === null ? null : value)));
  return fields.length > 0 && fields.every(({ label }) => label !== "") ? fields : [whole];
}

/** @param {any[]} values JSON of each answer, null where there is no answer @returns {Line[]} */
export function differingFields(values) {
  const sides = values.map((value) => (value === null ? null : new Map(leavesOf(value))));
  const paths = new Set(sides.flatMap((side) => [...(side?.keys() ?? [])]));
  return [...paths]
    .map((path) => ({ label: path, values: sides.map((side) => side?.get(path)), isField: true }))
    .filter(({ values: found }) => {
      const compared = found.filter((_, side) => sides[side] !== null).map((value) => JSON.stringify(value));
      return new Set(compared).size > 1;
    });
}

/**
 * @param {any} value
 * @returns {[string, any][]} every plain value by its path, of very deep and wide JSON the parts as they are
 */
function leavesOf(value) {
  /** @type {[string, any][]} */
  const found = [];
  /** @param {any} part @param {string} path @param {number} depth */
  function walk(part, path, depth) {
    const inner = part !== null && typeof part === "object" ? Object.entries(part) : [];
    if (inner.length === 0 || depth === MAX_DEPTH || found.length + inner.length > MAX_LEAVES)
      found.push([path, part]);
    else
      for (const [name, one] of inner)
        walk(one, Array.isArray(part) ? `${path}[${name}]` : path ? `${path}.${name}` : name, depth + 1);
  }
  walk(value, "", 0);
  return found;
}

/** The part of long texts where they begin to differ, at most so many characters of each.
 * @param {string[]} texts @param {number} most @returns {{ text: string, before: boolean, after: boolean }[]} */
export function excerpts(texts, most) {
  const longest = Math.max(...texts.map((text) => text.length));
  const start = longest > most ? excerptStart(texts) : 0;
  return texts.map((text) => ({
    text: cutAt(text.slice(start), most),
    before: start > 0,
    after: text.length > start + most,
  }));
}

/** @param {string[]} texts */
function excerptStart([first, ...others]) {
  let common = first.length;
  for (const text of others) {
    let at = 0;
    while (at < common && first.charCodeAt(at) === text.charCodeAt(at)) at += 1;
    common = at;
  }
  if (common <= 2 * LEAD || others.every((text) => text === first)) return 0;
  const space = first.indexOf(" ", common - 2 * LEAD);
  const start = space >= 0 && space < common ? space + 1 : common - LEAD;
  return isLowSurrogate(first, start) ? start + 1 : start;
}

/** @param {string} text @param {number} most */
function cutAt(text, most) {
  return text.slice(0, isLowSurrogate(text, most) ? most - 1 : most);
}

/** @param {string} text @param {number} at */
function isLowSurrogate(text, at) {
  return (text.charCodeAt(at) & 0xfc00) === 0xdc00;
}

/** Neighbours of one kind become one piece; a space between two changes belongs to the change around it.
 * @param {Piece[]} pieces @returns {Piece[]} */
export function merged(pieces) {
  /** @type {Piece[]} */
  const out = [];
  const change = { removed: "", added: "" };
  function flush() {
    for (const kind of /** @type {const} */ (["removed", "added"])) {
      if (change[kind]) out.push({ kind, text: change[kind] });
      change[kind] = "";
    }
  }
  pieces.forEach(({ kind, text }, index) => {
    if (kind !== "same") change[kind] += text;
    else if (
      (change.removed || change.added) &&
      !text.trim() &&
      (pieces[index + 1]?.kind ?? "same") !== "same"
    ) {
      change.removed += text;
      change.added += text;
    } else {
      flush();
      const last = out.at(-1);
      if (last?.kind === "same") last.text += text;
      else out.push({ kind: "same", text });
    }
  });
  flush();
  return out;
}

/** One side's text in pieces. Beyond `most` changes the rest is one change, so that a page stays small.
 * @param {Piece[]} pieces @param {"removed" | "added"} mine @param {number} most @returns {Piece[]} */
export function sideOf(pieces, mine, most) {
  const side = pieces.filter(({ kind }) => kind === "same" || kind === mine);
  const changed = side.flatMap(({ kind }, index) => (kind === mine ? [index] : []));
  if (changed.length <= most) return side;
  const [from, to] = [changed[most - 1], changed[changed.length - 1] + 1];
  return [
    ...side.slice(0, from),
    {
      kind: mine,
      text: side
        .slice(from, to)
        .map(({ text }) => text)
        .join(""),
    },
    ...side.slice(to),
  ];
}
