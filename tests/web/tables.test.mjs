// Columns, CSV, joins and differences of answers.

import assert from "node:assert/strict";
import { test } from "node:test";

import { byColumn, csvCell, fieldColumns, FIXED, toCsv, valueAt } from "../../web/static/js/columns.js";
import { FILTERS, joinAnswers, summarize } from "../../web/static/js/join.js";
import { wordDiff } from "../../web/static/js/word_diff.js";

/** @param {string} customId @param {string} text @param {any} [json] @returns {any} */
function answer(customId, text, json) {
  return { customId, text, json, ok: true, statusCode: 200, errorCode: null, inputTokens: 1, outputTokens: text.length, finishReason: "stop" };
}

test("fields of the answers' JSON become columns, the most frequent first", () => {
  const answers = [answer("a", "", { score: 3, reasons: ["x", "y"], nested: { deep: true } }), answer("b", "", { score: 10 }), answer("c", "no json")];
  const columns = fieldColumns(answers);
  assert.deepEqual(columns.map(({ title, numeric }) => [title, numeric]), [["score", true], ["reasons[0]", false], ["nested.deep", false]]);
  assert.deepEqual(columns.map((column) => column.value(answers[0])), [3, "x", "true"]);
  assert.equal(valueAt({ a: { b: [{ c: 1 }] } }, "a.b[0].c"), undefined, "deeper than shown");
  const sorted = [...answers].sort(byColumn(columns[0], -1)).map(({ customId }) => customId);
  assert.deepEqual(sorted, ["b", "a", "c"], "what has no value stays last in both directions");
});

test("CSV cannot become a formula, and survives quotes and line ends", () => {
  assert.equal(csvCell('=HYPERLINK("x")'), '"\'=HYPERLINK(""x"")"');
  for (const start of ["+", "-", "@", "\t"]) assert.match(csvCell(`${start}1`), /'/);
  assert.equal(csvCell(-5), "-5", "a number stays one");
  assert.equal(toCsv(FIXED.slice(0, 2), [answer("a", "one,\ntwo")]), 'custom_id,Answer\r\na,"one,\ntwo"\r\n');
});

test("batches are joined by custom_id, with what only one of them has", () => {
  const pairs = joinAnswers([answer("a", "score: 4"), answer("b", "same"), answer("c", "x")], [answer("b", "same"), answer("a", "score: 6"), answer("d", "y")]);
  assert.deepEqual(pairs.map(({ customId, same }) => [customId, same]), [["a", false], ["b", true], ["c", false], ["d", false]]);
  const { matched, onlyA, onlyB, same, different, scored, meanA, meanB } = summarize(pairs);
  assert.deepEqual({ matched, onlyA, onlyB, same, different, scored, meanA, meanB }, { matched: 2, onlyA: 1, onlyB: 1, same: 1, different: 1, scored: 1, meanA: 4, meanB: 6 });
  assert.deepEqual(pairs.filter(FILTERS.unmatched).map(({ customId }) => customId), ["c", "d"]);
});

test("a difference is shown word by word and puts both texts together again", () => {
  const [before, after] = ["Solid background, no leadership.", "Solid background, and led a team."];
  const pieces = wordDiff(before, after) ?? [];
  assert.deepEqual(pieces.map(({ kind, text }) => `${kind}: ${text}`), ["same: Solid background, ", "removed: no leadership", "added: and led a team", "same: ."]);
  assert.equal(pieces.filter(({ kind }) => kind !== "added").map(({ text }) => text).join(""), before);
  assert.equal(pieces.filter(({ kind }) => kind !== "removed").map(({ text }) => text).join(""), after);
  assert.equal(wordDiff("a ".repeat(5000), "b ".repeat(5000)), null, "too long to compare in detail");
});
