// Reads JSON lines of answers, writes the words of each and the JSON in them. For test_words.py.

import { createInterface } from "node:readline";

import { jsonIn, readAnswer } from "../../web/static/js/shared/parsers.js";

for await (const line of createInterface({ input: process.stdin })) {
  const { text } = readAnswer(JSON.parse(line));
  process.stdout.write(`${JSON.stringify({ text, json: jsonIn(text) ?? null })}\n`);
}
