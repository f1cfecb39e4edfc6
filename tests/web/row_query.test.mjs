// Where one is among the rows: the address, the API's parameters, the bars that filter.

import assert from "node:assert/strict";
import { test } from "node:test";

import { barsOf, isChosen, middleOf } from "../../web/static/js/results/facets.js";
import {
  addressOf, amongAnswers, answersQuery, beforeQuery, chipsOf, filterQuery, hitIn, ledgerQuery, nextSort, placeOf, sourceOf, wantedValue, withConditions, withoutColumn, withValue,
} from "../../web/static/js/shared/row_query.js";

const NOWHERE = placeOf("");

test("an address survives being read and written", () => {
  const address = "?batch=b&status=failed&code=x&custom_id=c%261&text=a+b&where=score%3Age%3A7&where=a%3Ab%3Acontains%3A%3A&sort=-seconds&offset=50&line=7";
  assert.equal(addressOf("b", placeOf(address)), address);
  assert.deepEqual(placeOf(address).where, [{ column: "score", operator: "ge", value: "7" }, { column: "a:b", operator: "contains", value: ":" }]);
});

test("what makes no sense in an address is left out", () => {
  const place = placeOf("?line=-1&offset=x&where=nothing&after=1e9");
  assert.equal(addressOf("b", place), "?batch=b");
});

test("answers and ledger are asked in their own words", () => {
  const place = { ...NOWHERE, status: "failed", text: "no", offset: 100, after: 7, sort: "-seconds" };
  assert.equal(String(answersQuery(place)), "status=failed&text=no&sort=-seconds&offset=100&limit=50");
  assert.equal(String(ledgerQuery(place)), "status=failed&after=7&limit=50");
  assert.equal(String(filterQuery({ ...NOWHERE, where: [{ column: "a", operator: "empty", value: "" }] })), "where=a%3Aempty");
});

test("a page of the ledger becomes the page of the answers that has its first row", () => {
  const place = { ...NOWHERE, customId: "a", after: 148, line: 7 };
  assert.equal(String(beforeQuery(place)), "custom_id=a&where=line%3Ale%3A148&limit=1");
  assert.equal(addressOf("b", amongAnswers(place, 50)), "?batch=b&custom_id=a&offset=50&line=7");
  assert.equal(amongAnswers(place, 99).offset, 50);
  assert.equal(amongAnswers(place, 0).offset, 0);
});

test("answers are shown as soon as they show no less than the ledger", () => {
  assert.equal(sourceOf(NOWHERE, 0), "answers");
  assert.equal(sourceOf(NOWHERE, 3), "ledger");
  assert.equal(sourceOf({ ...NOWHERE, status: "completed" }, 3), "answers");
  assert.equal(sourceOf({ ...NOWHERE, status: "expired" }, 3), "ledger");
  assert.equal(sourceOf({ ...NOWHERE, status: "running" }, 0), "ledger");
  assert.equal(sourceOf({ ...NOWHERE, text: "x" }, 3), "answers");
  assert.equal(sourceOf({ ...NOWHERE, sort: "-seconds" }, 3), "answers");
});

test("a value is chosen, seen and taken away", () => {
  for (const column of ["status", "error_code", "finish_reason"]) {
    const chosen = withValue(NOWHERE, column, "x");
    assert.equal(wantedValue(chosen, column), "x");
    assert.equal(wantedValue(withValue(chosen, column, "y"), column), "y");
    assert.deepEqual(withoutColumn(chosen, column), NOWHERE);
  }
});

test("each filter is a chip that knows the rest", () => {
  const place = { ...withConditions({ ...NOWHERE, text: "t", code: "c" }, "seconds", [
    { column: "seconds", operator: "ge", value: "0.12345678" },
    { column: "seconds", operator: "lt", value: "2" },
  ]) };
  const chips = chipsOf(place);
  assert.deepEqual(chips.map(({ label, value }) => `${label} ${value}`), ["answer contains t", "error c", "took ≥ 0.123 and < 2"]);
  assert.equal(chips[2].without.where.length, 0);
  assert.equal(chips[0].without.text, "");
});

test("bars of whole numbers hold whole numbers, and none is drawn where none can be", () => {
  const bins = Array.from({ length: 20 }, (_, n) => ({ start: n * 0.25, end: (n + 1) * 0.25, count: n % 4 === 0 ? 2 : 0 }));
  bins[19].count = 1; // 5, the end of the last bin
  const bars = barsOf("output_tokens", bins, true);
  assert.deepEqual(bars.map(({ label }) => label), ["0", "1", "2", "3", "4", "5"]);
  assert.deepEqual(bars[5].conditions.map(({ operator, value }) => operator + value), ["ge5", "le5"]);
  assert.equal(barsOf("output_tokens", [{ start: 10, end: 20.5, count: 1 }, { start: 20.5, end: 31, count: 1 }], true)[0].label, "10 – 20");
});

test("bars of seconds leave out their end, but for the last", () => {
  const bars = barsOf("seconds", [{ start: 0.5, end: 1, count: 1 }, { start: 1, end: 1.5, count: 3 }], false);
  assert.deepEqual(bars.map(({ conditions }) => conditions.map(({ operator, value }) => operator + value).join()), ["ge0.5,lt1", "ge1,le1.5"]);
  assert.equal(isChosen(bars[0], bars[0].conditions), true);
  assert.equal(isChosen(bars[1], bars[0].conditions), false);
  assert.equal(isChosen(bars[1], []), false);
  assert.equal(middleOf(bars)?.label, bars[1].label);
  assert.equal(barsOf("seconds", [{ start: 2, end: 3, count: 9 }], false)[0].label, "2.00 s");
});

test("a heading sorts its way, the other way, and no more", () => {
  assert.equal(nextSort("line", "-seconds"), "-seconds");
  assert.equal(nextSort("-seconds", "-seconds"), "seconds");
  assert.equal(nextSort("seconds", "-seconds"), "line");
  assert.equal(nextSort("line", "line"), "-line");
});

test("a hit is shown with what stands around it", () => {
  assert.deepEqual(hitIn("Good Morning", "morning"), ["Good ", "Morning", ""]);
  assert.deepEqual(hitIn("Good", "bad"), ["Good", "", ""]);
  assert.deepEqual(hitIn(`${"x".repeat(300)}hit`, "hit", 3), ["…xxx", "hit", ""]);
});
