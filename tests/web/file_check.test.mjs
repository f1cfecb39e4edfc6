// A file as a whole, checked before it is sent.

import assert from "node:assert/strict";
import { test } from "node:test";

import { checkFile, linesOf, promptOf } from "../../web/static/js/submit/file_check.js";

const LIMITS = { maxRequests: 100, maxFileBytes: 1e6, maxLineBytes: 2000 };

/** @param {string} customId @param {object} [rest] */
function line(customId, rest = {}) {
  return JSON.stringify({ custom_id: customId, method: "POST", url: "/v1/chat/completions", body: { model: "m", messages: [{ role: "user", content: "Hi" }] }, ...rest });
}

/** @param {string[]} lines @param {Partial<typeof LIMITS>} [limits] */
function check(lines, limits = {}) {
  return checkFile(new Blob([lines.join("\n")]), { ...LIMITS, ...limits });
}

test("a good file is counted and previewed", async () => {
  const report = await check([line("a"), "", line("b", { body: { model: "n", messages: [{ role: "user", content: [{ type: "text", text: "Look" }] }] } })]);
  assert.equal(report.totalErrors, 0);
  assert.equal(report.requests, 2);
  assert.equal(report.endpoint, "/v1/chat/completions");
  assert.deepEqual([...report.models], [["m", 1], ["n", 1]]);
  assert.deepEqual(report.preview, [{ line: 1, customId: "a", text: "Hi" }, { line: 3, customId: "b", text: "Look" }]);
});

test("every problem names its line, as counted in an editor", async () => {
  const report = await check([line("a"), "", "{not json", line("a"), line("c", { url: "/v1/embeddings", body: { input: "x" } })]);
  assert.deepEqual(report.errors.map(({ line, code, param }) => [line, code, param]), [
    [3, "invalid_json_line", null],
    [4, "duplicate_custom_id", "custom_id"],
    [5, "invalid_url", "url"],
  ]);
  assert.match(report.errors[1].message, /already used on line 1/);
  assert.equal(report.errors[0].text, "{not json");
});

test("a line of another endpoint is that and nothing else, and a bad line takes its custom_id", async () => {
  const report = await check([line("a"), line("b", { url: "/v1/completions" }), line("b")]);
  assert.deepEqual(report.errors.map(({ line, code }) => [line, code]), [[2, "invalid_url"], [3, "duplicate_custom_id"]]);
});

test("many problems are counted, and the first hundred listed", async () => {
  const report = await check(Array.from({ length: 90 }, () => "{}"));
  assert.equal(report.totalErrors, 360);
  assert.equal(report.errors.length, 100);
});

test("limits are noticed", async () => {
  assert.equal((await check([line("a"), line("b")], { maxRequests: 1 })).tooMany, true);
  assert.equal((await check([line("a")], { maxFileBytes: 10 })).tooBig, true);
  const long = await check([line("a", { body: { messages: "x".repeat(3000) } }), line("b")]);
  assert.deepEqual(long.errors.map(({ line, code }) => [line, code]), [[1, "line_too_long"]]);
});

test("an aborted check rejects", async () => {
  const stop = new AbortController();
  stop.abort();
  await assert.rejects(checkFile(new Blob([line("a") + "\n"]), LIMITS, { signal: stop.signal }), { name: "AbortError" });
});

test("the text of some lines can be read again", async () => {
  const found = await linesOf(new Blob(["one\ntwo\nthree\nfour"]), [2, 3], 100);
  assert.deepEqual([...found], [[2, "two"], [3, "three"]]);
});

test("a preview shows what is asked, whatever the endpoint", () => {
  const ask = (body) => promptOf(JSON.stringify({ body }));
  assert.equal(ask({ prompt: "complete me" }), "complete me");
  assert.equal(ask({ input: ["embed", "me"] }), '"embed" "me"');
  assert.equal(ask({ other: 1 }), '{"other":1}');
});
