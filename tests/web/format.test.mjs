// What numbers and times look like.

import assert from "node:assert/strict";
import { test } from "node:test";

import * as format from "../../web/static/js/shared/format.js";

/** @param {(...given: any[]) => string} shown @param {[any[], string][]} cases */
function each(shown, cases) {
  for (const [given, expected] of cases) assert.equal(shown(...given), expected, `${shown.name}(${given})`);
}

test("an unknown number is a dash, never 0", () => {
  for (const shown of [format.integer, format.compact, format.rate, format.bytes, format.duration, format.durationRange]) {
    assert.equal(shown(null), "–");
    assert.equal(shown(undefined), "–");
  }
});

test("large numbers are grouped or shortened", () => {
  each(format.integer, [[[0], "0"], [[41208], "41,208"], [[1e6], "1,000,000"]]);
  each(format.compact, [[[9999], "9,999"], [[10_000], "10.0 k"], [[99_960], "100 k"], [[999_600], "1.0 M"], [[54_213_000], "54.2 M"], [[2.5e9], "2.5 G"]]);
});

test("a rate keeps two meaningful digits", () => {
  each(format.rate, [[[0], "0"], [[0.042], "0.042"], [[2.34], "2.3"], [[9.96], "10.0"], [[2511.4], "2,511"]]);
});

test("a share that is not quite none or all never says so", () => {
  each(format.percent, [[[0, 10], "0 %"], [[10, 10], "100 %"], [[49_996, 50_000], "99.9 %"], [[12, 96_322], "0.012 %"], [[1, 1e9], "<0.001 %"], [[1, 3], "33 %"], [[1, 0], "–"]]);
});

test("sizes are in powers of 1024", () => {
  each(format.bytes, [[[0], "0 B"], [[521], "521 B"], [[1023], "1023 B"], [[1024], "1.0 KiB"], [[209_715_200], "200 MiB"], [[16 * 2 ** 30], "16.0 GiB"]]);
});

test("durations use the two largest units that matter", () => {
  each(format.duration, [[[-3], "0 s"], [[3.2], "3 s"], [[59.6], "1 min"], [[843], "14 min"], [[3570], "1 h"], [[7800], "2 h 10"], [[21_480], "5 h 58"], [[86_400], "24 h"], [[3 * 86_400 + 4 * 3600], "3 d 4 h"], [[172_800], "2 d"]]);
});

test("an estimate is shown as the range it is", () => {
  each(format.durationRange, [[[[1680, 1980]], "28 – 33 min"], [[[7800, 8700]], "2 h 10 – 2 h 25"], [[[50, 90]], "50 s – 2 min"], [[[60, 61]], "about 1 min"], [[[3300, 3700]], "55 min – 1 h 02"]]);
});

test("near days have names, far ones a date and their year", () => {
  const now = new Date(2026, 9, 29, 14, 0);
  const at = (...parts) => new Date(...parts).getTime() / 1000;
  assert.equal(format.when(at(2026, 9, 29, 6, 12), now), "today 06:12");
  assert.equal(format.when(at(2026, 9, 28, 22, 40), now), "yesterday 22:40");
  assert.equal(format.when(at(2026, 9, 12, 0, 5), now), "12 Oct 00:05");
  assert.equal(format.when(at(2025, 11, 31, 9, 0), now), "31 Dec 2025 09:00");
  assert.equal(format.when(null, now), "–");
  assert.equal(format.utc(1761745500), "2025-10-29 13:45:00 UTC");
});

test("places in a queue and counts read as words", () => {
  each(format.ordinal, [[[1], "1st"], [[2], "2nd"], [[3], "3rd"], [[4], "4th"], [[11], "11th"], [[12], "12th"], [[21], "21st"], [[113], "113th"]]);
  each(format.plural, [[[1, "request"], "1 request"], [[2000, "request"], "2,000 requests"], [[0, "batch", "batches"], "0 batches"]]);
  each(format.shortModel, [[["google/gemma-3-4b-it"], "gemma-3-4b-it"], [["/models/x/"], "x"], [[null], "–"]]);
});

test("latencies have two or three digits", () => {
  assert.deepEqual([0, 0.0000461, 0.00812, 0.0421, 0.5, 12.34, 300].map(format.secondsText), ["0 ms", "0.046 ms", "8.1 ms", "42 ms", "0.50 s", "12.3 s", "5 min"]);
});
