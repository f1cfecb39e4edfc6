// Before a batch is sent: what it takes, and how it looks as code.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

import { createSampler, estimateOf, tokensOf } from "../../web/static/js/submit/estimate.js";
import { startWords } from "../../web/static/js/submit/start_estimate.js";
import { pythonText, SAMPLES, shellWord } from "../../web/static/js/submit/samples.js";

const HOSTILE = ["it's", '"; rm -rf / #', "$(touch x) `id`", "a\nb", "\u202egnp.exe", "ü \\ \u{1f600}", "@/etc/passwd", "", "'; DROP"];
const line = (body) => JSON.stringify({ custom_id: "a", url: "/v1/chat/completions", body });
const talk = (content, rest = {}) => line({ messages: [{ role: "user", content }], ...rest });

/** @param {Partial<import("../../web/static/js/shared/wire.js").Batch>} [rest] */
function batch(rest = {}) {
  return {
    id: "b", endpoint: "/v1/chat/completions", model: "m", status: "completed", priority: 0, filename: "old.jsonl", metadata: null,
    request_counts: { total: 100, completed: 100, failed: 0 }, usage: { input_tokens: 0, output_tokens: 20_000, total_tokens: 0 },
    in_progress_at: 1000, completed_at: 1100, progress: { eta_seconds: [10, 20] }, ...rest,
  };
}
const WORKER = { status: "processing", tokens_per_second: 0, model: null };
const machine = (rest = {}) => ({ worker: WORKER, hindrance: null, open: [], finished: [], aliases: (model) => [model], ...rest });
const plan = (rest = {}) => ({ requests: 1000, sample: { lines: 9, inputTokens: 50, maxTokens: 300 }, endpoint: "/v1/chat/completions", model: "m", priority: 0, ...rest });

test("a word of English is about a token, a sign of Chinese nearly one", () => {
  assert.equal(tokensOf("abcd".repeat(10)), 10);
  assert.equal(tokensOf("三".repeat(3)), 2);
});

test("a sample is small, and spread over the file", () => {
  const sampler = createSampler();
  for (let n = 1; n <= 10_000; n += 1) sampler.take(n, talk("x".repeat(n <= 5000 ? 40 : 400)));
  const sample = sampler.result();
  assert.ok(sample && sample.lines < 256 && sample.lines > 100);
  assert.ok(Math.abs(sample.inputTokens - 59) < 2, `${sample.inputTokens}`);
  assert.equal(sample.maxTokens, null);
});

test("a limit is known only when every line has one", () => {
  const sampler = createSampler();
  sampler.take(1, talk("x", { max_tokens: 10 }));
  sampler.take(2, talk("x", { max_completion_tokens: 10, n: 3 }));
  assert.equal(sampler.result()?.maxTokens, 20);
  sampler.take(3, talk("x"));
  assert.equal(sampler.result()?.maxTokens, null);
  assert.equal(createSampler().result(), null);
});

test("time is what the same model took lately", () => {
  const found = estimateOf(plan(), machine({ finished: [batch({ model: "other" }), batch()] }));
  assert.equal(found.inputTokens, 50_000);
  assert.equal(found.outputTokens, 200_000);
  assert.equal(found.isAtMost, false);
  assert.deepEqual(found.seconds?.map(Math.round), [750, 1350]);
  assert.equal(found.rateOf, "old.jsonl");
});

test("the rate of now counts more than that of the past, if it is the same model's", () => {
  const now = estimateOf(plan(), machine({ worker: { ...WORKER, tokens_per_second: 1000, model: "m" }, finished: [batch()] }));
  assert.deepEqual(now.seconds?.map(Math.round), [150, 270]);
  assert.equal(now.rateOf, "");
  assert.equal(estimateOf(plan(), machine({ worker: { ...WORKER, tokens_per_second: 1000, model: "other" } })).seconds, null);
  const idle = estimateOf(plan(), machine({ worker: { status: "idle", tokens_per_second: 1000, model: "m" }, finished: [batch()] }));
  assert.equal(idle.rateOf, "old.jsonl"); // what it did a while ago is no rate of now
});

test("without a past the limits of the lines are the most there can be, and no time is claimed", () => {
  const found = estimateOf(plan(), machine());
  assert.equal(found.outputTokens, 300_000);
  assert.equal(found.isAtMost, true);
  assert.equal(found.seconds, null);
  assert.equal(estimateOf(plan({ sample: { lines: 1, inputTokens: 1, maxTokens: null } }), machine()).outputTokens, null);
});

test("embeddings have no words to wait for", () => {
  const found = estimateOf(plan({ endpoint: "/v1/embeddings" }), machine({ finished: [batch({ endpoint: "/v1/embeddings", usage: null })] }));
  assert.equal(found.outputTokens, 0);
  assert.deepEqual(found.seconds?.map(Math.round), [750, 1350]);
});

test("one waits for those that are ahead", () => {
  const open = [batch({ status: "in_progress" }), batch({ status: "pending", progress: { eta_seconds: [30, 40] } }), batch({ status: "pending", priority: -50, progress: { eta_seconds: null } })];
  assert.deepEqual(estimateOf(plan(), machine()).wait, [0, 0]);
  assert.deepEqual(estimateOf(plan(), machine({ open })).wait, [30, 40]);
  assert.equal(estimateOf(plan(), machine({ open })).ahead, 2);
  assert.equal(estimateOf(plan({ priority: -50 }), machine({ open })).wait, null);
});

test("a batch is said to start only when it can", () => {
  const starts = (rest = {}) => startWords(estimateOf(plan(), machine(rest)));
  const open = [batch({ status: "in_progress", progress: { eta_seconds: [60, 120] } })];
  assert.equal(starts(), "at once");
  assert.equal(starts({ open }), "after 1 batch, 1 – 2 min");
  assert.equal(starts({ hindrance: "no worker" }), "when a worker runs");
  assert.equal(starts({ hindrance: "no worker", open }), "when a worker runs, after 1 batch");
  assert.equal(starts({ hindrance: "refused" }), "not accepted now");
});

test("a hostile word stays one word of the shell", () => {
  for (const word of HOSTILE) {
    assert.equal(execFileSync("bash", ["-c", `printf %s ${shellWord(word)}`], { env: { ...process.env, LC_ALL: "C.UTF-8" } }).toString(), word);
  }
});

test("a hostile word stays one string of Python", () => {
  const program = `import json,sys\nsys.stdout.write(json.dumps([${HOSTILE.map(pythonText).join(", ")}]))`;
  assert.deepEqual(JSON.parse(execFileSync("python3", ["-c", program]).toString()), HOSTILE);
});

test("code says what the page would send", () => {
  const order = { apiUrl: "http://h:4080", hasKey: false, filename: "in.jsonl", model: "m", endpoint: "/v1/embeddings", priority: 0, metadata: {}, handling: {} };
  const [curl, requests, openai] = SAMPLES.map(({ write }) => write(order));
  assert.equal(curl, "curl http://h:4080/v1/batches \\\n  -F file=@in.jsonl \\\n  --form-string model=m");
  assert.match(requests, /data=\{"model": "m"\}/);
  assert.match(openai, /endpoint="\/v1\/embeddings"/);
  const full = { ...order, hasKey: true, priority: 50, metadata: { name: "a 'b'" }, filename: 'my "file".jsonl' };
  const handled = SAMPLES.map(({ write }) => write({ ...order, priority: 5, handling: { order: "submission", deduplicate: true, use_cache: true } }));
  assert.match(handled[0], /-F order=submission \\\n {2}-F deduplicate=true \\\n {2}-F use_cache=true$/);
  assert.match(handled[1], /"order": "submission", "deduplicate": "true", "use_cache": "true"\}/);
  assert.match(handled[2], /extra_body=\{"priority": 5, "order": "submission", "deduplicate": True, "use_cache": True\}/);
  assert.match(SAMPLES[0].write(full), /-H "Authorization: Bearer \$BATCH_API_KEY"/);
  assert.match(SAMPLES[0].write(full), /'file=@"my \\"file\\".jsonl"'/);
  for (const { id, write } of SAMPLES.slice(1)) execFileSync("python3", ["-c", "import ast,sys; ast.parse(sys.argv[1])", write({ ...full, filename: HOSTILE.join(" ") })], { stdio: "pipe" }, id);
});
