// What the comparison's page computes: its address, its figures, what differs in a row.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  agreementTable, bars, differingFields, excerpts, frequentChanges, linesOf, merged, sideOf, signed, toneOf, trimmed,
} from "../../web/static/js/compare/differences.js";
import { question, readPlace, settings, systemPrompt, writePlace } from "../../web/static/js/compare/sides.js";

/** @param {string | null} text @param {any} [more] @returns {any} */
function answer(text, more = {}) {
  return text === null ? null : { line: 1, status: "completed", error_code: null, text, ...more };
}

/** @param {number} low @param {number} high @param {number} count @param {number[]} values as the server sorts them into bins */
function binned(low, high, count, values) {
  const width = (high - low) / count || 1;
  const bins = Array.from({ length: high > low ? count : 1 }, (_, n) => ({ start: low + n * width, end: low + (n + 1) * width, count: 0 }));
  for (const value of values) bins[Math.min(count - 1, Math.trunc((value - low) / width))].count += 1;
  return bins;
}

test("an address holds all that is shown, and nonsense in it is left out", () => {
  const search = "?batch=a&batch=b&batch=c&field=reasons%5B0%5D&only=flipped&sort=-change&offset=40&open=x+%26+y";
  const place = readPlace(search);
  assert.deepEqual(place, { batches: ["a", "b", "c"], field: "reasons[0]", only: "flipped", sort: "-change", offset: 40, open: "x & y" });
  assert.equal(writePlace(place), search);
  assert.equal(writePlace(readPlace("?batch=a&batch=b")), "?batch=a&batch=b");
  const odd = readPlace("?batch=a&batch=a&batch=&batch=b&batch=c&batch=d&batch=e&only=x&sort=y&offset=-3");
  assert.deepEqual([odd.batches, odd.only, odd.sort, odd.offset], [["a", "b", "c", "d"], "different", "line", 0]);
  assert.equal(question(["a", "b"], { field: "", only: "all", offset: 0 }), "batch=a&batch=b&only=all&offset=0");
});

test("changes have a sign and no digits that say nothing", () => {
  assert.deepEqual([0.314, -2, 0, -0.001].map((value) => signed(value)), ["▲ +0.31", "▼ −2", "±0", "±0"]);
  assert.deepEqual([trimmed(6.8), trimmed(-0.004), trimmed(-1.5), trimmed(null)], ["6.8", "0", "−1.5", "–"]);
});

test("whole steps become bars of their own, other numbers about twenty", () => {
  for (const [low, high] of [[-2, 2], [-10, 10], [0, 1], [-9, 14], [-7, 13]]) {
    const values = Array.from({ length: high - low + 1 }, (_, n) => low + n);
    const found = bars(binned(low, high, 60, [...values, low, high]));
    assert.deepEqual(found.map((bar) => bar.low), values, `${low} to ${high}`);
    assert.deepEqual(found.map(({ count }) => count), values.map((value) => (value === low || value === high ? 2 : 1)));
  }
  const halves = bars(binned(-2, 2, 60, [-2, -0.5, 0.5, 2]));
  assert.equal(halves.length, 20);
  assert.equal(halves.reduce((sum, { count }) => sum + count, 0), 4, "nothing is lost");
  assert.deepEqual(bars(binned(0, 0, 60, [0, 0])), [{ low: 0, high: 0, count: 2 }]);
  assert.deepEqual(bars([]), []);
  assert.equal(bars(binned(0, 200, 60, [0, 200, 100])).length, 20);
});

test("agreement is a square of the frequent words, and the rest is counted", () => {
  const pairs = [{ baseline: "yes", other: "yes", count: 9 }, { baseline: "no", other: "yes", count: 3 }, { baseline: true, other: "rare", count: 1 }];
  const { values, cells, rest } = agreementTable(pairs, 2);
  assert.deepEqual([values, cells, rest], [["yes", "no"], [[9, 0], [3, 0]], 1]);
  assert.deepEqual(frequentChanges(pairs, 1), [pairs[1]]);
  assert.deepEqual(["advance", "Reject", "maybe", true].map((value) => toneOf(value).tone), ["ok", "bad", "", "ok"]);
});

test("JSON answers are compared field by field, others as text", () => {
  const [one, two] = ['{"score": 4, "why": ["a", "b"], "same": 1}', '```json\n{"same": 1, "score": 6, "why": ["a", "c"], "new": {"x": null}}\n```'];
  const lines = linesOf({ custom_id: "x", answers: [answer(one), answer(two)] });
  assert.deepEqual(lines.map(({ label, values }) => [label, ...values]), [["score", 4, 6], ["why[1]", "b", "c"], ["new.x", undefined, null]]);
  const asText = (/** @type {any[]} */ ...answers) => linesOf({ custom_id: "x", answers }).map(({ label, isField }) => [label, isField]);
  assert.deepEqual(asText(answer(one), answer("no JSON")), [["answer", false]]);
  assert.deepEqual(asText(answer(one), answer(null)), [["answer", false]], "only in one");
  assert.deepEqual(asText(answer(one), answer(two, { error_code: "too_long" })), [["answer", false]]);
  assert.deepEqual(asText(answer('{"a": 1}'), answer('{ "a": 1 }')), [["answer", false]], "only spelled differently");
});

test("three answers are held to the first, and names like __proto__ are only names", () => {
  const parsed = ['{"__proto__": 1, "constructor": 2}', '{"__proto__": 1, "constructor": 3}'].map((text) => JSON.parse(text));
  assert.deepEqual(differingFields([...parsed, null]), [{ label: "constructor", values: [2, 3, undefined], isField: true }]);
  const wide = Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`key${n}`, n]));
  assert.equal(differingFields([wide, { ...wide, key7: 0 }]).length, 1, "very wide JSON is one value");
});

test("long texts are shown from where they part", () => {
  const common = "word ".repeat(100);
  const [one, two] = excerpts([`${common}left ${"x".repeat(500)}`, `${common}right`], 200);
  assert.ok(one.before && one.after && two.before && !two.after);
  assert.ok(one.text.includes("left") && two.text.endsWith("word right") && two.text.startsWith("word"));
  assert.deepEqual(excerpts(["short", "texts"], 200).map(({ text, before, after }) => [text, before, after]), [["short", false, false], ["texts", false, false]]);
  const [cut] = excerpts([`${"a".repeat(9)}😀`], 10);
  assert.equal(cut.text, "a".repeat(9), "a character is never halved");
});

test("pieces of a difference become one change, and both texts come together again", () => {
  const pieces = merged([{ kind: "same", text: "a " }, { kind: "removed", text: "x" }, { kind: "added", text: "y" }, { kind: "same", text: " " }, { kind: "removed", text: "z" }, { kind: "same", text: "." }]);
  assert.deepEqual(pieces.map(({ kind, text }) => `${kind}:${text}`), ["same:a ", "removed:x z", "added:y ", "same:."]);
  assert.equal(sideOf(pieces, "removed", 9).map(({ text }) => text).join(""), "a x z.");
  const many = Array.from({ length: 20 }, (_, n) => /** @type {const} */ ({ kind: n % 2 ? "added" : "same", text: `${n} ` }));
  const few = sideOf([...many], "added", 3);
  assert.equal(few.filter(({ kind }) => kind === "added").length, 3);
  assert.equal(few.map(({ text }) => text).join(""), many.map(({ text }) => text).join(""), "no word is lost");
});

test("the setup names what differs, the request's own text aside", () => {
  const batch = (/** @type {any} */ more) => ({ model: "m", endpoint: "/v1/chat/completions", priority: 0, input_file_id: "file-1", metadata: null, request_counts: { total: 3 }, ...more });
  const body = (/** @type {any} */ more) => ({ model: "m", messages: [{ role: "system", content: "Judge." }, { role: "user", content: "text" }], ...more });
  const found = settings([batch({}), batch({ metadata: { name: "B", rubric: "v4" } })], [body({ temperature: 0, seed: 1 }), body({ temperature: 0.7, seed: 1 })]);
  assert.deepEqual(found.filter(({ differs }) => differs), [{ name: "temperature", values: ["0", "0.7"], differs: true }, { name: "rubric", values: [null, "v4"], differs: true }]);
  assert.deepEqual(found.find(({ name }) => name === "system prompt")?.values, ["Judge.", "Judge."]);
  assert.equal(systemPrompt({ input: "x", instructions: "Be brief." }), "Be brief.");
  assert.equal(systemPrompt(null), null);
});
