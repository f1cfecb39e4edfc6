// Reads base64 lines, checks each with the pages' rules, writes what was found as JSON lines. For test_input_rules.py.

import { createInterface } from "node:readline";

import { checkLine } from "../../web/static/js/submit/input_rules.js";
import { textOf } from "../../web/static/js/shared/parsers.js";

for await (const line of createInterface({ input: process.stdin })) {
  const { request, errors, customId } = checkLine(textOf(new Uint8Array(Buffer.from(line, "base64"))), 1, "/v1/chat/completions");
  process.stdout.write(`${JSON.stringify({ accepted: request !== null, customId, errors: errors.map(({ code, message, param }) => [code, message, param]) })}\n`);
}
