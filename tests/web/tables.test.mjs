// A table of many answers: its columns, its address, its window, its pages.

import assert from "node:assert/strict";
import { test } from "node:test";

import { cellText, chosenColumns, columnsOf, columnWidths, defaultColumns, moved, naturalWidth } from "../../web/static/js/table/columns.js";
import { nextSort } from "../../web/static/js/shared/row_query.js";
import { joinedColumns, joinedDefaults, withBatches } from "../../web/static/js/table/column_groups.js";
import { distributionPath, exportPath, pagePath, questionOf, tableAddress, tablePlaceOf } from "../../web/static/js/table/url_state.js";
import { createPages, pagesOf, rowsAt } from "../../web/static/js/table/row_pages.js";

const FIELDS = ["score", "verdict", "reasons[0]", "status", "a.b", "c", "d"].map((path, index) => ({ path, answers: 100 - index, is_number: path === "score" }));
/** @type {any} */
const ANSWER = { line: 7, custom_id: "c-7", status: "completed", output_tokens: 12_345, seconds: 1.234, text: "words", is_cut: true, values: { score: 4, verdict: null, status: false, "a.b": { c: 1 } } };
/** @type {any} */
const ROW = { custom_id: "c-7", answers: [ANSWER] };

test("the most frequent fields are the usual columns, and words where there are few fields", () => {
  const columns = columnsOf(FIELDS);
  assert.deepEqual(defaultColumns(columns, { hasFailures: true }), ["custom_id", "score", "verdict", "reasons[0]", "$.status", "a.b", "c", "status", "output_tokens"]);
  assert.deepEqual(defaultColumns(columnsOf([]), { hasFailures: false }), ["custom_id", "answer", "output_tokens"]);
});

test("a field with a built-in column's name stands beside it", () => {
  const columns = chosenColumns(columnsOf(FIELDS), ["status", "$.status", "gone"]);
  assert.deepEqual(columns.map(({ id }) => id), ["custom_id", "status", "$.status"]);
  assert.deepEqual(columns.map((column) => cellText(column, ROW)), ["c-7", "completed", "false"]);
});

test("cells are words: nothing is empty, a cut answer says so", () => {
  const columns = chosenColumns(columnsOf(FIELDS), ["score", "verdict", "a.b", "answer", "output_tokens", "seconds", "c"]);
  assert.deepEqual(columns.map((column) => cellText(column, ROW)), ["c-7", "4", "", '{"c":1}', "words …", "12,345", "1.23", ""]);
});

test("a column moves among the others, never before the custom_id", () => {
  const ids = ["custom_id", "a", "b", "c"];
  assert.deepEqual(moved(ids, "c", 1), ["custom_id", "c", "a", "b"]);
  assert.deepEqual(moved(ids, "a", 0), ids);
  assert.deepEqual(moved(ids, "a", 9), ["custom_id", "b", "c", "a"]);
});

test("the room that is left goes to words that have too little, not to a column somebody has sized", () => {
  const columns = chosenColumns(columnsOf(FIELDS), ["score", "answer"]);
  const natural = columns.map((column) => naturalWidth(column, [ROW]));
  const sum = natural.reduce((total, width) => total + width, 0);
  assert.deepEqual(columnWidths(columns, { chosen: {}, natural, room: sum + 100 }), [natural[0], natural[1], natural[2] + 100]);
  assert.deepEqual(columnWidths(columns, { chosen: { answer: 200 }, natural, room: 2000 }), [natural[0], natural[1], 200]);
});

test("the address has all that is shown, and gives it back", () => {
  const address = "?batch=b1&status=failed&text=a%26b&where=score%3Age%3A7&sort=-score&column=x%3Ay&column=score&width=x%3Ay%3A220&wrap=1&row=25000";
  const place = tablePlaceOf(address);
  assert.deepEqual([place.columns, place.widths, place.wrap, place.row], [["x:y", "score"], { "x:y": 220 }, true, 24_999]);
  assert.equal(tableAddress(place), address);
  assert.equal(tablePlaceOf("?batch=b&row=-3&width=oops").row, 0);
  const bare = { ...place, columns: [] };
  assert.deepEqual(tablePlaceOf(tableAddress(bare)).columns, [], "no column at all is a choice too");
});

test("looks do not change the question; filters and order do", () => {
  const place = tablePlaceOf("?batch=b1&text=x");
  assert.equal(questionOf({ ...place, wrap: true, row: 9, columns: ["a"] }), questionOf(place));
  assert.notEqual(questionOf({ ...place, sort: "-a" }), questionOf(place));
  assert.equal(pagePath(place, ["a", "b[0]"], 3), "/v1/batches/b1/answers?text=x&sort=line&columns=a&columns=b%5B0%5D&offset=300&limit=100");
  assert.equal(exportPath(place, ["a"], "csv"), "/v1/batches/b1/export?text=x&sort=line&columns=a&format=csv");
});

test("a head's click goes up, down, and back to the file's order", () => {
  assert.deepEqual(["line", "a", "-a", "b"].map((sort) => nextSort(sort, "a")), ["a", "-a", "line", "a"]);
  assert.equal(nextSort("-pass-rate", "pass-rate"), "line");
});

test("of several batches each column has the number of its batch, and an absent answer has no words", () => {
  const columns = joinedColumns([FIELDS.slice(0, 2), FIELDS.slice(0, 1)]);
  assert.deepEqual(columns.slice(0, 4).map(({ id, title, batch }) => [id, title, batch]), [["custom_id", "custom_id", 0], ["1.score", "score", 0], ["1.verdict", "verdict", 0], ["1.answer", "Answer", 0]]);
  const shown = chosenColumns(columns, ["2.score", "1.output_tokens", "2.seconds", "1.score", "2.verdict"]);
  assert.deepEqual(shown.map(({ id }) => id), ["custom_id", "1.output_tokens", "1.score", "2.score", "2.seconds"], "batch by batch, without what is not there");
  assert.deepEqual(shown.map((column) => cellText(column, { custom_id: "c-7", answers: [null, ANSWER] })), ["c-7", "", "", "4", "1.23"]);
});

test("of several batches fewer fields are usual, those that most have first", () => {
  const ours = [FIELDS[0], FIELDS[1]];
  const theirs = [...FIELDS.slice(2, 6), FIELDS[1]];
  assert.deepEqual(joinedDefaults([ours, theirs], { hasFailures: false }), ["custom_id", "1.verdict", "1.score", "1.answer", "1.output_tokens", "2.verdict", "2.reasons[0]", "2.$.status", "2.output_tokens"]);
  assert.deepEqual(joinedDefaults([[], []], { hasFailures: true }).slice(1, 4), ["1.answer", "1.status", "1.output_tokens"]);
});

test("the address names up to four batches, and which of them shall have a row", () => {
  const address = "?batch=b1&batch=b2&where=2.score%3Age%3A7&having=matched&sort=-1.score&column=1.score&column=2.x";
  const place = tablePlaceOf(address);
  assert.deepEqual([place.batches, place.having], [["b1", "b2"], "matched"]);
  assert.equal(tableAddress(place), address);
  assert.equal(tablePlaceOf("?batch=b&batch=b&having=matched").having, "", "one batch beside itself is one");
  assert.deepEqual(["3", "some", "2"].map((having) => tablePlaceOf(`?batch=b&batch=c&having=${having}`).having), ["", "", "2"]);
  assert.deepEqual(tablePlaceOf("?batch=1&batch=2&batch=3&batch=4&batch=5").batches.length, 4);
  assert.notEqual(questionOf({ ...place, having: "" }), questionOf(place));
  const asked = "batch=b1&batch=b2&where=2.score%3Age%3A7&having=matched&sort=-1.score&columns=1.score";
  assert.equal(pagePath(place, ["1.score"], 2), `/v1/compare/answers?${asked}&offset=200&limit=100`);
  assert.equal(exportPath(place, ["1.score"], "jsonl"), `/v1/compare/export?${asked}&format=jsonl`);
  assert.match(distributionPath(place, "2.x"), /^\/v1\/compare\/distribution\?batch=b1&batch=b2&.*&column=2.x&/);
});

test("a batch that is added, taken away or put in another's place takes along what is said about it", () => {
  const place = tablePlaceOf("?batch=a&where=score%3Age%3A7&sort=-score&column=score&column=status&width=score%3A220&wrap=1&text=x&row=9");
  const two = withBatches(place, ["a", "b"]);
  assert.equal(tableAddress(two), "?batch=a&batch=b&text=x&where=1.score%3Age%3A7&sort=-1.score&column=1.score&column=2.score&column=1.status&column=2.status&width=1.score%3A220&width=2.score%3A220&wrap=1");
  assert.deepEqual(withBatches(two, ["a"]).columns, place.columns);
  assert.equal(tableAddress(withBatches(two, ["a"])), tableAddress({ ...place, row: 0 }));
  const second = withBatches({ ...two, having: "2" }, ["b"]);
  assert.deepEqual([second.sort, second.where, second.columns, second.having], ["line", [], ["score", "status"], ""]);
  const swapped = withBatches(two, ["b", "a"]);
  assert.deepEqual([swapped.sort, swapped.where[0].column], ["-2.score", "2.score"]);
  const replaced = withBatches(two, ["c", "b"]);
  assert.deepEqual([replaced.sort, replaced.where[0].column], ["-1.score", "1.score"]);
  assert.equal(withBatches({ ...place, columns: null, sort: "line" }, ["a", "b"]).columns, null, "the usual ones stay usual");
});

test("of many rows only those in sight are drawn, and few when there are many columns", () => {
  const view = { top: 34 * 25_000, height: 680, rowHeight: 34, total: 50_000, columns: 8 };
  assert.deepEqual(rowsAt(view), { seen: { first: 25_000, end: 25_021 }, drawn: { first: 24_992, end: 25_029 } });
  assert.deepEqual(rowsAt({ ...view, columns: 40 }).drawn, { first: 25_000, end: 25_021 });
  assert.deepEqual(rowsAt({ ...view, top: 34 * 49_990 }).seen.end, 50_000);
  assert.deepEqual(rowsAt({ ...view, top: 0, total: 0 }).drawn, { first: 0, end: 0 });
  assert.deepEqual(pagesOf({ first: 95, end: 201 }, 100), [0, 1, 2]);
  assert.deepEqual(pagesOf({ first: 0, end: 0 }, 100), [0]);
});

test("pages are read once, forgotten when others are wanted, and few are kept", async () => {
  /** @type {{ page: number, signal: AbortSignal, answer: (value: any) => void }[]} */
  const reads = [];
  const pages = createPages({
    read: (page, signal) => new Promise((answer) => reads.push({ page, signal, answer })),
    onRead() {},
    onFail: assert.fail,
  });
  pages.want([0]);
  pages.want([0]);
  assert.deepEqual(reads.map(({ page }) => page), [0], "not asked twice");
  pages.want([7]);
  assert.equal(reads[0].signal.aborted, true);
  assert.equal(reads.length, 1, "a dragged scroll bar does not ask at every step");
  await new Promise((resolve) => setTimeout(resolve, 90));
  assert.equal(reads[1].page, 7);
  reads[1].answer({ data: [{ line: 701 }] });
  await Promise.resolve();
  await Promise.resolve();
  assert.equal(pages.row(700)?.answers[0]?.line, 701);
  assert.equal(pages.row(0), null);
  assert.equal(pages.has([7]), true);
  pages.close();
});
