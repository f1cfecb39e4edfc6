// One request and its answer in words, whatever the endpoint.

import assert from "node:assert/strict";
import { test } from "node:test";

import { choicesOf, errorOf, promptOf, settingsOf } from "../../web/static/js/shared/row_reading.js";

const ask = (body) => promptOf({ body });

test("messages are roles and texts", () => {
  assert.deepEqual(ask({ model: "m", messages: [{ role: "system", content: "Be kind." }, { role: "user", content: [{ type: "text", text: "Look" }, { type: "image_url", image_url: { url: "data:x" } }] }] }), [
    { role: "system", text: "Be kind." },
    { role: "user", text: "Look\n[image]" },
  ]);
});

test("a call of a tool and its result are messages too", () => {
  assert.deepEqual(ask({ messages: [{ role: "assistant", content: null, tool_calls: [{ function: { name: "find", arguments: '{"a":1}' } }] }, { role: "tool", name: "find", content: "found" }] }), [
    { role: "assistant", text: 'find({"a":1})' },
    { role: "tool · find", text: "found" },
  ]);
});

test("the prompts of the other endpoints are read by their fields", () => {
  assert.deepEqual(ask({ prompt: "complete me" }), [{ role: "prompt", text: "complete me" }]);
  assert.deepEqual(ask({ prompt: [1, 2] }), [{ role: "prompt", text: "[1,2]" }]);
  assert.deepEqual(ask({ input: ["one", "two"] }), [{ role: "input 1", text: "one" }, { role: "input 2", text: "two" }]);
  assert.deepEqual(ask({ instructions: "Short.", input: [{ role: "user", content: [{ type: "input_text", text: "Hi" }] }] }), [{ role: "instructions", text: "Short." }, { role: "user", text: "Hi" }]);
  assert.deepEqual(ask({ query: "q", documents: ["a", { text: "b" }] }).map(({ text }) => text), ["q", "a", "b"]);
  assert.deepEqual(ask({ text_1: "a", text_2: ["b"] }).map(({ role }) => role), ["text_1", "text_2"]);
});

test("nothing breaks what nobody expected", () => {
  for (const request of [null, {}, { body: 3 }, { body: { messages: "x" } }, { body: { messages: [null, 7, [], {}] } }]) {
    assert.ok(Array.isArray(promptOf(request)));
    assert.ok(Array.isArray(settingsOf(request)));
    assert.ok(Array.isArray(choicesOf(request, null)));
  }
});

test("settings are what is not the prompt", () => {
  assert.deepEqual(settingsOf({ body: { model: "m", messages: [], temperature: 0, tools: [{}, {}], stop: ["x"] } }), [["model", "m"], ["temperature", "0"], ["tools", "2 of them"], ["stop", '["x"]']]);
});

test("every choice is an answer, with its reasoning apart", () => {
  const response = { response: { body: { choices: [{ message: { content: "a", reasoning_content: "hm" }, finish_reason: "stop" }, { text: "b" }] } } };
  assert.deepEqual(choicesOf(response, "a"), [{ text: "a", reasoning: "hm", finish: "stop" }, { text: "b", reasoning: "", finish: null }]);
  assert.deepEqual(choicesOf({ response: { body: { data: [] } } }, "embedding of 3 numbers").map(({ text }) => text), ["embedding of 3 numbers"]);
  assert.deepEqual(choicesOf(null, null), []);
});

test("an error is found at either place", () => {
  assert.deepEqual(errorOf({ error: { code: "expired", message: "late" } }), { code: "expired", message: "late" });
  assert.deepEqual(errorOf({ error: null, response: { body: { error: { type: "BadRequestError", message: "no" } } } }), { code: "BadRequestError", message: "no" });
  assert.equal(errorOf({ response: { body: {} } }), null);
});
