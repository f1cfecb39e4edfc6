// The numbers behind the charts.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CHARTS, hasGpu, joined, summary } from "../../web/static/js/dashboard/chart_data.js";
import { buckets } from "../../web/static/js/shared/status_cards.js";

/** @param {number} at @param {any} [more] @returns {any} */
const sample = (at, more = {}) => ({ at, tokens_per_second: at, requests_per_second: 0, queued_requests: 0, requests_in_flight: 0, gpu_memory_used_bytes: null, gpu_utilization_percent: null, gpu_temperature_c: null, gpu_power_w: null, ...more });
const WINDOW = { to: 99, seconds: 40, pieces: 4 };

test("readings become equal pieces of time with average, lowest and highest", () => {
  const found = buckets([60, 62, 67, 81, 99].map((at) => sample(at)), "tokens_per_second", WINDOW);
  assert.deepEqual(found.map(({ from, mean }) => [from, mean]), [[60, 63], [70, null], [80, 81], [90, 99]]);
  assert.deepEqual([found[0].low, found[0].high, found[1].low], [60, 67, null]);
});

test("what is older, newer or unknown is left out", () => {
  const found = buckets([sample(10), sample(120), sample(85, { tokens_per_second: null })], "tokens_per_second", WINDOW);
  assert.ok(found.every(({ mean }) => mean === null));
});

test("pieces stay where they are while time goes on", () => {
  const starts = (/** @type {number} */ to) => buckets([], "queued_requests", { ...WINDOW, to }).map(({ from }) => from);
  assert.deepEqual(starts(91), starts(99));
  assert.deepEqual(starts(101), [70, 80, 90, 100]);
});

test("newer readings are joined without doubles, old ones forgotten", () => {
  const series = joined([10, 20, 30, 40].map((at) => sample(at)), [30, 40, 50].map((at) => sample(at)), 20);
  assert.deepEqual(series.map(({ at }) => at), [20, 30, 40, 50]);
  assert.deepEqual(joined([sample(10)], [], 0).length, 1);
});

test("a chart is said in a sentence", () => {
  const temperature = CHARTS.find(({ id }) => id === "temperature");
  assert.ok(temperature);
  const found = buckets([sample(61, { gpu_temperature_c: 41.2 }), sample(95, { gpu_temperature_c: 71 })], temperature.field, WINDOW);
  assert.equal(summary(temperature, found), "GPU temperature: 41 °C to 71 °C, last 71 °C.");
  assert.equal(summary(temperature, []), "GPU temperature: no readings in this time.");
});

test("a GPU is there when a sample has seen one", () => {
  assert.equal(hasGpu([sample(1)]), false);
  assert.equal(hasGpu([sample(1), sample(2, { gpu_temperature_c: 40 })]), true);
});
