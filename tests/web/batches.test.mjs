// What a batch object means to a person.

import assert from "node:assert/strict";
import { test } from "node:test";

import { detailRows, engineWords } from "../../web/static/js/results/batch_head.js";
import { displayName, donePercent, failureReason, jobFacts, offers, stateOf, tookSeconds } from "../../web/static/js/shared/batches.js";
import { emptyText } from "../../web/static/js/dashboard/empty_texts.js";
import { nextDelay } from "../../web/static/js/shared/live.js";

const PROGRESS = { percent: 0, phase: "running", pending: 0, running: 0, cancelled: 0, expired: 0, chunk: 1, chunks: 1, requests_per_second: null, tokens_per_second: null, eta_seconds: null, queue_position: null, elapsed_seconds: null };

/** @param {any} given @returns {any} */
function batch({ progress = {}, counts = {}, ...rest } = {}) {
  return {
    id: "batch_1", endpoint: "/v1/chat/completions", model: "google/gemma", status: "in_progress", filename: "in.jsonl", priority: 0, errors: null, input_file_id: "f",
    output_file_id: null, error_file_id: null, created_at: 1000, in_progress_at: 1010, completed_at: null, failed_at: null, expired_at: null, cancelled_at: null, expires_at: null,
    usage: null, metadata: null, parent_batch_id: null, retried_by: [], request_counts: { total: 10, completed: 3, failed: 0, ...counts }, progress: { ...PROGRESS, ...progress }, ...rest,
  };
}

/** @param {any} one */
const facts = (one) => jobFacts(one).map(({ before = "", value, after = "" }) => `${before} ${value} ${after}`.trim());

test("a batch is called by its name, else by its file, else by its id", () => {
  assert.equal(displayName(batch({ metadata: { name: " Winter " } })), "Winter");
  assert.equal(displayName(batch({ metadata: { name: " " } })), "in.jsonl");
  assert.equal(displayName(batch({ filename: null })), "batch_1");
});

test("an open batch says its phase, a final one its status", () => {
  assert.equal(stateOf(batch()).word, "running");
  assert.equal(stateOf(batch({ progress: { phase: "loading_model" } })).word, "loading model");
  assert.equal(stateOf(batch({ status: "pending", progress: { phase: "queued", queue_position: 2 } })).word, "queued, 2nd");
  assert.equal(stateOf(batch({ status: "pending", progress: { phase: "waiting_for_worker", queue_position: 2 } })).word, "waiting for a worker");
  assert.equal(stateOf(batch({ status: "cancelling" })).word, "cancelling");
  assert.equal(stateOf(batch({ status: "expired", progress: { phase: "done" } })).word, "expired");
  assert.equal(stateOf(batch({ progress: { phase: "brand_new" } })).word, "in_progress");
});

test("facts of a running batch are complete, and unknown ones left out", () => {
  assert.deepEqual(facts(batch()), ["3 of 10 done", "0 failed", "chunk 1 of 1", "model gemma"]);
  const known = { requests_per_second: 2.31, tokens_per_second: 1790, eta_seconds: [7800, 8700], chunk: 7, chunks: 10 };
  assert.deepEqual(facts(batch({ progress: known })), ["3 of 10 done", "0 failed", "chunk 7 of 10", "2.3 requests/s", "1,790 tokens/s", "model gemma", "done in 2 h 10 – 2 h 25"]);
});

test("a waiting batch says when it will be done, once something runs that tells", () => {
  const waiting = { status: "pending", counts: { completed: 0 } };
  assert.deepEqual(facts(batch(waiting)), ["0 of 10 done", "model gemma"]);
  const progress = { phase: "queued", queue_position: 1, eta_seconds: [7800, 8700] };
  assert.deepEqual(facts(batch({ ...waiting, progress })), ["0 of 10 done", "model gemma", "done in 2 h 10 – 2 h 25"]);
});

test("only what can be done is offered", () => {
  assert.deepEqual(offers(batch()), { results: "partial", errors: false, retry: false, cancel: true });
  assert.deepEqual(offers(batch({ counts: { completed: 0 } })).results, null);
  assert.deepEqual(offers(batch({ status: "cancelling" })).cancel, false);
  assert.deepEqual(offers(batch({ status: "completed", output_file_id: "o", error_file_id: "e", counts: { failed: 2 } })), { results: "all", errors: true, retry: true, cancel: false });
  assert.deepEqual(offers(batch({ status: "completed", error_file_id: "e", counts: { completed: 0, failed: 10 } })).results, null);
  assert.deepEqual(offers(batch({ status: "cancelled", progress: { cancelled: 7 } })), { results: "partial", errors: false, retry: true, cancel: false });
});

test("percent, duration and the reason of a failure", () => {
  assert.equal(donePercent(batch({ counts: { failed: 1 } })), "40 %");
  assert.equal(donePercent(batch({ counts: { total: 0, completed: 0 } })), "–");
  assert.equal(tookSeconds(batch({ completed_at: 1070 })), 60);
  assert.equal(tookSeconds(batch({ in_progress_at: null, failed_at: 1070 })), null);
  const errors = { data: [{ code: "x", message: "bad line", param: null, line: 3 }, { code: "y", message: "z", param: null, line: 4 }] };
  assert.equal(failureReason(batch({ errors })), "line 3: bad line (and 1 more)");
  assert.equal(failureReason(batch()), null);
});

test("details list what is known, with other metadata after it", () => {
  const rows = detailRows(batch({ metadata: { name: "n", team: "<b>hiring</b>" }, parent_batch_id: "batch_0", output_bytes: 2048 }), new Date());
  const labels = rows.map(({ label }) => label);
  assert.ok(!labels.includes("ended") && !labels.includes("tokens in") && !labels.includes("name"));
  assert.equal(rows.find(({ label }) => label === "results")?.value, "2.0 KiB");
  assert.deepEqual(rows.at(-1), { label: "metadata.team", value: "<b>hiring</b>" });
  assert.deepEqual(rows.find(({ label }) => label === "retries")?.batchIds, ["batch_0"]);
  assert.ok(!labels.includes("retried as"));
  const retried = detailRows(batch({ retried_by: ["batch_2", "batch_3"] }), new Date()).find(({ label }) => label === "retried as");
  assert.deepEqual(retried, { label: "retried as", value: "batch_2, batch_3", batchIds: ["batch_2", "batch_3"] });
});

test("how well the engine was used stands in one line", () => {
  const engine = { seconds: 60, full_share: 0.934, mean_requests: 61.5, mean_cache_usage: 0.5, preemptions: 0, cached_prompt_share: null };
  assert.equal(engineWords(engine), "full 93 % of the time, 61.5 at once");
  assert.equal(engineWords({ ...engine, preemptions: 1200, cached_prompt_share: 0.78 }), "full 93 % of the time, 61.5 at once, 78 % of prompts computed before, 1,200 begun again for want of cache");
  const rows = detailRows(batch({ engine, reused: { deduplicated: 2, cached: 3 } }), new Date(), new Map());
  assert.equal(rows.find(({ label }) => label === "engine")?.value, engineWords(engine));
  assert.equal(rows.find(({ label }) => label === "copies of other requests")?.value, "2");
  assert.equal(rows.find(({ label }) => label === "from earlier batches")?.value, "3");
});

test("an empty list says what to do next", () => {
  assert.equal(emptyText("active", true).title, "No batches yet");
  assert.equal(emptyText("active", true).submit, true);
  for (const tab of ["active", "queued", "completed", "failed", "cancelled", "expired"]) assert.ok(emptyText(tab, false).text, tab);
});

test("polling looks again soon after the first failure, then less and less often", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5, 9].map((failures) => nextDelay(5000, failures)), [5000, 2000, 5000, 10_000, 20_000, 30_000, 30_000]);
  assert.deepEqual([0, 1, 2, 3].map((failures) => nextDelay(1000, failures)), [1000, 1000, 2000, 4000]);
});
