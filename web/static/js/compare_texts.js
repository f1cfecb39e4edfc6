// What differs between answers: fields of their JSON, the place where texts part, pieces of a word difference. Pure.

import { jsonIn } from "./parsers.js";

/** @typedef {{ kind: "same" | "removed" | "added", text: string }} Piece */
/** @typedef {{ label: string, values: (any | undefined)[], isField: boolean }} Line `values` undefined where there is none */

const MAX_DEPTH = 5;
const MAX_LEAVES = 200;
const LEAD = 60;
export const ANSWER = "answer";

/** What to show of one request: the fields whose values differ when all answers hold JSON, else the texts.
 * @param {import("./wire.js").ComparedRow} row @returns {Line[]} */
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

/** @param {any} value @returns {[string, any][]} every plain value by its path, of very deep and wide JSON the parts as they are */
function leavesOf(value) {
  /** @type {[string, any][]} */
  const found = [];
  /** @param {any} part @param {string} path @param {number} depth */
  function walk(part, path, depth) {
    const inner = part !== null && typeof part === "object" ? Object.entries(part) : [];
    if (inner.length === 0 || depth === MAX_DEPTH || found.length + inner.length > MAX_LEAVES) found.push([path, part]);
    else for (const [name, one] of inner) walk(one, Array.isArray(part) ? `${path}[${name}]` : path ? `${path}.${name}` : name, depth + 1);
  }
  walk(value, "", 0);
  return found;
}

/** The part of long texts where they begin to differ, at most so many characters of each.
 * @param {string[]} texts @param {number} most @returns {{ text: string, before: boolean, after: boolean }[]} */
export function excerpts(texts, most) {
  const longest = Math.max(...texts.map((text) => text.length));
  const start = longest > most ? excerptStart(texts) : 0;
  return texts.map((text) => ({ text: cutAt(text.slice(start), most), before: start > 0, after: text.length > start + most }));
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
    else if ((change.removed || change.added) && !text.trim() && (pieces[index + 1]?.kind ?? "same") !== "same") {
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
  return [...side.slice(0, from), { kind: mine, text: side.slice(from, to).map(({ text }) => text).join("") }, ...side.slice(to)];
}
