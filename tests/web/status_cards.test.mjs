// The four vitals in words.

import assert from "node:assert/strict";
import { test } from "node:test";

import { dayVital, emptyIn, gpuVital, lineOf, queueVital, sparkPoints, speedOf, workerVital } from "../../web/static/js/shared/status_cards.js";

const GPU = { available: true, status: "healthy", name: "NVIDIA GeForce RTX 4080", memory_used_bytes: 13.9 * 2 ** 30, memory_total_bytes: 16 * 2 ** 30, temperature_c: 71, utilization_percent: 98, power_w: 287.3, processes: 1, max_memory_percent: 95, max_temperature_c: 85 };
const WORKER = { status: "processing", heartbeat: "fresh", heartbeat_age_seconds: 3.1, model: "google/gemma", tokens_per_second: 2511.4, requests_in_flight: 256, cached_prompt_share: 0.78, engine: "vllm", engine_restarts: 0, batch_ids: [] };
const QUEUE = { accepting: true, reason: null, active_batches: 3, max_active_batches: 5, queued_requests: 41_208, max_queued_requests: 100_000, oldest_waiting_seconds: 840, max_requests_per_batch: 50_000, max_file_bytes: 1 };

test("a machine without a GPU says so plainly", () => {
  const vital = gpuVital({ ...GPU, available: false, status: "not present" }, null);
  assert.equal(vital.state?.word, "not present");
  assert.equal(vital.big, "No GPU");
  assert.match(vital.hint ?? "", /CPU/);
});

test("a GPU shows memory, temperature, utilisation, power, processes and the loaded model", () => {
  const vital = gpuVital(GPU, "google/gemma");
  assert.equal(`${vital.big} ${vital.unit}`, "13.9 of 16.0 GiB");
  assert.deepEqual(vital.rows.map(({ value }) => value), ["GeForce RTX 4080", "71 °C of 85", "98 %", "287 W", "1", "gemma"]);
  assert.equal(gpuVital({ ...GPU, status: "too hot" }, null).state?.tone, "bad");
});

test("no worker says how to start one", () => {
  const vital = workerVital({ ...WORKER, status: "none", heartbeat: "none" }, []);
  assert.equal(vital.state?.tone, "bad");
  assert.equal(vital.command, "make worker");
});

test("a late heartbeat is called late, and an idle worker makes no tokens", () => {
  const late = workerVital({ ...WORKER, status: "late", heartbeat: "late", heartbeat_age_seconds: 41 }, []);
  assert.deepEqual(late.rows[0], { label: "heartbeat", value: "41 s ago, late", tone: "late" });
  assert.equal(workerVital({ ...WORKER, status: "idle" }, []).big, "0");
  assert.equal(workerVital(WORKER, []).big, "2,511");
  assert.deepEqual(["processing", "draining", "idle", "loading", "late", "lost"].map((status) => speedOf({ ...WORKER, status }) > 0), [true, true, false, false, false, false]);
});

test("of a worker that is silent nobody knows how fast it is", () => {
  assert.equal(workerVital({ ...WORKER, status: "late", heartbeat: "late" }, []).big, "–");
  assert.equal(workerVital({ ...WORKER, status: "lost", heartbeat: "lost" }, []).big, "–");
});

test("a queue that refuses says why", () => {
  assert.equal(queueVital(QUEUE, [17_400, 19_200]).rows[2].value, "4 h 50 – 5 h 20");
  const full = queueVital({ ...QUEUE, accepting: false, reason: "5 of 5 batches are active" }, null);
  assert.deepEqual([full.state?.word, full.hint], ["not accepting", "5 of 5 batches are active"]);
});

test("dead letters of the day are a warning", () => {
  const health = { last_24_hours: { answers: 96_310, failed: 12, dead_letters: 1 }, disk: { free_bytes: 212 * 2 ** 30, total_bytes: 1, free_percent: 42 }, version: "1" };
  const vital = dayVital(/** @type {any} */ (health), []);
  assert.deepEqual([vital.state?.word, vital.state?.tone, vital.rows[0].value], ["1 dead letter", "warn", "12 (0.012 %)"]);
});

test("the queue is empty when its last batch is, if every batch has an estimate", () => {
  const open = (...estimates) => estimates.map((eta_seconds) => /** @type {any} */ ({ progress: { eta_seconds } }));
  assert.deepEqual(emptyIn(open([10, 20], [5, 30])), [10, 30]);
  assert.equal(emptyIn(open([10, 20], null)), null);
  assert.equal(emptyIn([]), null);
});

test("a line ends now: readings stand where their time is, and what lies between is nothing", () => {
  const read = (/** @type {number[]} */ ...moments) => moments.map((at) => /** @type {any} */ ({ at, tokens_per_second: at === 3480 ? 900 : 1800 }));
  const line = (/** @type {any[]} */ samples) => lineOf(samples, "tokens_per_second", { to: 7199, seconds: 3600, pieces: 10 });
  assert.deepEqual(line(read(3480, 3600, 3720, 4800)), [1800, 0, 0, 1800, 0, 0, 0, 0, 0, 0], "the newest is 40 minutes old");
  assert.deepEqual(line(read(6840, 7200)), [0, 0, 0, 0, 0, 0, 0, 0, 0, 1800], "a newer one waits for its turn");
  assert.deepEqual(line(read(3480)), [], "none in this time");
});

test("a line is drawn within its box", () => {
  assert.equal(sparkPoints([0, 10]), "0.00,29.00 100.00,2.00");
  assert.equal(sparkPoints([0, 0]), "0.00,29.00 100.00,29.00");
});
