// Lines of a stream, and what is in an answer.

import assert from "node:assert/strict";
import { test } from "node:test";

import { isBlank, jsonIn, readAnswer, readLines, scoreIn, textOf } from "../../web/static/js/shared/parsers.js";

/** @param {string | Uint8Array} content @param {number} chunk bytes per chunk */
function streamOf(content, chunk) {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + chunk));
      at += chunk;
    },
  });
}

/** @param {string | Uint8Array} content @param {{ chunk?: number, max?: number }} [options] */
async function linesOf(content, { chunk = 3, max = 100 } = {}) {
  const found = [];
  for await (const lines of readLines(streamOf(content, chunk), max)) {
    for (const { number, bytes } of lines) found.push([number, bytes && textOf(bytes)]);
  }
  return found;
}

test("lines come out whole however the stream is cut", async () => {
  const content = "\ufeffone\r\n\nthree ☃ drei\nlast";
  const expected = [[1, "one"], [2, ""], [3, "three ☃ drei"], [4, "last"]];
  for (let chunk = 1; chunk <= 30; chunk += 1) assert.deepEqual(await linesOf(content, { chunk }), expected, `chunks of ${chunk}`);
});

test("a final line end begins no line", async () => {
  assert.deepEqual(await linesOf("a\nb\n"), [[1, "a"], [2, "b"]]);
  assert.deepEqual(await linesOf(""), []);
});

test("a line longer than allowed is dropped, and the next one is not", async () => {
  for (let chunk = 1; chunk <= 40; chunk += 7) {
    assert.deepEqual(await linesOf(`${"x".repeat(11)}\n${"y".repeat(10)}\r\n${"z".repeat(500)}\nok`, { chunk, max: 10 }), [[1, null], [2, "y".repeat(10)], [3, null], [4, "ok"]]);
  }
});

test("bytes that are not UTF-8 are no text", async () => {
  assert.deepEqual(await linesOf(new Uint8Array([0xff, 10, 65])), [[1, null], [2, "A"]]);
});

test("white space alone is a blank line", () => {
  const blank = (text) => isBlank(new TextEncoder().encode(text));
  assert.ok(blank("") && blank(" \t\v\f\r"));
  assert.ok(!blank("x") && !blank("\u00a0"));
});

const usage = { prompt_tokens: 5, completion_tokens: 7 };

test("the answer is found at every endpoint", () => {
  const text = (body) => readAnswer({ custom_id: "a", response: { status_code: 200, body } }).text;
  assert.equal(text({ choices: [{ message: { content: "chat" } }] }), "chat");
  assert.equal(text({ choices: [{ text: "completion" }] }), "completion");
  assert.equal(text({ output: [{ type: "reasoning" }, { content: [{ text: "one " }, { text: "two" }] }] }), "one two");
  assert.equal(text({ data: [{ embedding: [0.1, 0.2] }] }), "embedding of 2 numbers");
  assert.equal(text({ data: [{ score: 0.5 }] }), "score 0.5");
  assert.match(text({ choices: [{ message: { content: null, tool_calls: [{ function: { name: "f" } }] } }] }), /"name":"f"/);
  assert.equal(text({}), "");
});

test("an answer carries its tokens and why it ended", () => {
  const answer = readAnswer({ custom_id: "a", response: { status_code: 200, body: { choices: [{ message: { content: "x" }, finish_reason: "length" }], usage } }, error: null });
  assert.deepEqual(answer, { customId: "a", ok: true, statusCode: 200, text: "x", errorCode: null, inputTokens: 5, outputTokens: 7, finishReason: "length" });
});

test("an error is an error wherever it is written", () => {
  const refused = readAnswer({ custom_id: "a", response: { status_code: 400, body: { error: { message: "too long", code: "context_length_exceeded" } } }, error: null });
  assert.deepEqual([refused.ok, refused.text, refused.errorCode], [false, "too long", "context_length_exceeded"]);
  const cancelled = readAnswer({ custom_id: "b", response: null, error: { code: "batch_cancelled", message: "cancelled" } });
  assert.deepEqual([cancelled.ok, cancelled.statusCode, cancelled.errorCode], [false, null, "batch_cancelled"]);
  assert.equal(readAnswer(null).ok, false);
});

test("JSON is found bare, in a fence, and among words", () => {
  assert.deepEqual(jsonIn('{"score": 7}'), { score: 7 });
  assert.deepEqual(jsonIn('Sure!\n```json\n{"score": 7}\n```\nDone.'), { score: 7 });
  assert.deepEqual(jsonIn("```\n[1, 2]\n```"), [1, 2]);
  assert.deepEqual(jsonIn('The result is {"score": 7}, as said.'), { score: 7 });
  assert.equal(jsonIn("no json {here}"), undefined);
  assert.equal(jsonIn("42"), undefined);
});

test("a score is read from JSON first, then from words", () => {
  assert.equal(scoreIn('{"score": 7.5}'), 7.5);
  assert.equal(scoreIn('{"rating": "8/10"}'), 8);
  assert.equal(scoreIn("**Score:** 6 of 10"), 6);
  assert.equal(scoreIn("score: -2"), -2);
  assert.equal(scoreIn("underscored 5 things"), null);
  assert.equal(scoreIn("nothing"), null);
});
