// Two batches joined by custom_id, and what their difference amounts to. Pure.

import { scoreIn } from "./parsers.js";

/** @typedef {import("./answers.js").ReadAnswer} ReadAnswer */
/** @typedef {{ customId: string, a: ReadAnswer | null, b: ReadAnswer | null, same: boolean, scores: [number | null, number | null] }} Pair */
/**
 * @typedef {{
 *   matched: number, onlyA: number, onlyB: number, same: number, different: number, scored: number,
 *   meanA: number | null, meanB: number | null, tokensA: number | null, tokensB: number | null,
 * }} Summary
 */

/** In the order of the first batch, then what only the second has.
 * @param {ReadAnswer[]} first @param {ReadAnswer[]} second @returns {Pair[]} */
export function joinAnswers(first, second) {
  const others = new Map(second.map((answer) => [answer.customId, answer]));
  const pairs = first.map((a) => {
    const b = others.get(a.customId) ?? null;
    others.delete(a.customId);
    return pair(a, b);
  });
  return [...pairs, ...[...others.values()].map((b) => pair(null, b))];
}

/** @param {ReadAnswer | null} a @param {ReadAnswer | null} b @returns {Pair} */
function pair(a, b) {
  return {
    customId: (a ?? b)?.customId ?? "",
    a,
    b,
    same: a !== null && b !== null && a.text === b.text,
    scores: [a && scoreIn(a.text), b && scoreIn(b.text)],
  };
}

/** @param {Pair[]} pairs @returns {Summary} */
export function summarize(pairs) {
  const both = pairs.filter(({ a, b }) => a && b);
  const scored = both.filter(({ scores }) => scores[0] !== null && scores[1] !== null);
  const same = both.filter((one) => one.same).length;
  return {
    matched: both.length,
    onlyA: pairs.filter(({ b }) => b === null).length,
    onlyB: pairs.filter(({ a }) => a === null).length,
    same,
    different: both.length - same,
    scored: scored.length,
    meanA: mean(scored.map(({ scores }) => scores[0] ?? 0)),
    meanB: mean(scored.map(({ scores }) => scores[1] ?? 0)),
    tokensA: mean(both.map(({ a }) => a?.outputTokens ?? 0)),
    tokensB: mean(both.map(({ b }) => b?.outputTokens ?? 0)),
  };
}

/** @param {number[]} values */
function mean(values) {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** @type {Record<string, (pair: Pair) => boolean>} */
export const FILTERS = {
  different: ({ a, b, same }) => a !== null && b !== null && !same,
  same: ({ same }) => same,
  unmatched: ({ a, b }) => a === null || b === null,
  all: () => true,
};
