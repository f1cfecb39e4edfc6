// Where one is on the dashboard, what its filter means, what an action on several batches would do.

import assert from "node:assert/strict";
import { test } from "node:test";

import { buttonText, outcomeText, planOf, questionOf, retriedWords, tooLateText } from "../../web/static/js/shared/bulk_plan.js";
import { asCurl, asPython } from "../../web/static/js/dashboard/commands.js";
import { addressOf, inTab, listQuery, matches, placeIn, placeOf, termsOf } from "../../web/static/js/dashboard/url_state.js";

const PROGRESS = { percent: 0, phase: "running", pending: 0, running: 0, cancelled: 0, expired: 0, chunk: 1, chunks: 1, requests_per_second: null, tokens_per_second: null, eta_seconds: null, queue_position: null, elapsed_seconds: null };

/** @param {any} given @returns {any} */
function batch({ progress = {}, counts = {}, name = "Spring intake", ...rest } = {}) {
  return {
    id: "batch_7f3a", model: "google/gemma-3-4b-it", status: "in_progress", filename: "in.jsonl", metadata: { name }, output_file_id: null, error_file_id: null, retried_by: [],
    request_counts: { total: 10, completed: 3, failed: 0, ...counts }, progress: { ...PROGRESS, ...progress }, ...rest,
  };
}

/** @param {string} q @param {any} [one] */
const finds = (q, one = batch()) => matches(one, termsOf(q));

test("words are sought in name, file, id and model; all of them must be there", () => {
  for (const q of ["", "spring", "SPRING gemma", "in.jsonl", "batch_7f", '"spring intake"', "spr 4b-it"]) assert.ok(finds(q), q);
  for (const q of ["winter", "spring winter", '"intake spring"']) assert.ok(!finds(q), q);
});

test("a qualifier looks in one place, and a minus turns it round", () => {
  for (const q of ["model:gemma", "name:spring", 'name:"spring intake"', "id:7f3a", "-model:llama", "Status:RUNNING", "-status:failed", "name:", "-winter", "-\"two words\""]) assert.ok(finds(q), q);
  for (const q of ["model:spring", "name:gemma", "-model:gemma", "-spring", "status:failed", 'name:"intake spring"']) assert.ok(!finds(q), q);
});

test("a state is known by the API's word, the page's word, and its beginning", () => {
  const queued = batch({ status: "pending", progress: { phase: "queued" } });
  for (const q of ["status:queued", "status:pending", "status:active", "status:que"]) assert.ok(finds(q, queued), q);
  for (const q of ["status:in_progress", "status:run", "status:active"]) assert.ok(finds(q), q);
  assert.ok(finds("status:comp", batch({ status: "completed" })));
  assert.ok(!finds("status:active", batch({ status: "completed" })));
});

test("an unknown qualifier is a word like any other", () => {
  assert.deepEqual(termsOf("foo:bar"), [{ field: "", value: "foo:bar", not: false }]);
  assert.ok(finds("a:b", batch({ name: "a:b" })));
});

test("a place is kept in its address", () => {
  const place = placeIn("completed", 'name:"a b" x', "batch_9");
  assert.deepEqual(placeOf(addressOf(place)), place);
  assert.deepEqual(placeOf("?tab=nonsense"), placeIn("active", ""));
});

test("a state that the tab has not got leads to all of them, and another tab drops it", () => {
  assert.equal(placeIn("active", "status:failed gemma").tab, "all");
  assert.equal(placeIn("active", "status:running").tab, "active");
  assert.equal(placeIn("failed", "status:failed").tab, "failed");
  assert.equal(placeIn("active", "-status:failed").tab, "active");
  assert.equal(inTab(placeIn("all", 'status:failed name:"a b" x'), "active").q, 'name:"a b" x');
});

test("the API filters by state, and more is asked for while the page filters", () => {
  /** @param {string} tab @param {string} q @param {string | null} [after] */
  const query = (tab, q, after) => String(listQuery(placeIn(tab, q, after)));
  assert.equal(query("active", ""), "status=completed&status=failed&status=cancelled&status=expired&limit=5");
  assert.equal(query("completed", "", "batch_9"), "status=completed&limit=20&after=batch_9");
  assert.equal(query("completed", "gemma"), "status=completed&limit=100");
  assert.equal(query("all", "status:running status:failed x"), "status=in_progress&status=failed&limit=100");
  assert.equal(query("all", "status:fai -status:expired"), "limit=100");
});

const RUNNING = batch({ id: "batch_1" });
const WAITING = batch({ id: "batch_2", name: "Winter", status: "pending", counts: { total: 1224, completed: 0 } });
const MIXED = batch({ id: "batch_3", name: "Mixed", status: "completed", output_file_id: "o", counts: { total: 60, completed: 3, failed: 57 } });

test("a plan counts what would happen and leaves out what it does not concern", () => {
  const cancel = planOf("cancel", [RUNNING, WAITING, MIXED]);
  assert.deepEqual([cancel.batches.length, cancel.requests, cancel.kept, cancel.others], [2, 1231, 3, 1]);
  assert.equal(buttonText(cancel), "Cancel 2 batches (1,231 requests unanswered)");
  const retry = planOf("retry", [RUNNING, WAITING, MIXED]);
  assert.equal(buttonText(retry), "Retry the failed of 1 batch (57 requests)");
});

test("the question says what stays, what goes and what is not touched", () => {
  const { title, text, act, danger } = questionOf(planOf("cancel", [RUNNING, WAITING, MIXED]));
  assert.deepEqual([title, act, danger], ["Cancel 2 batches?", "Cancel 2 batches", true]);
  assert.equal(text, "1,231 requests will not run: “Spring intake”, “Winter”. The 3 answers so far stay and can be downloaded. Of those selected, 1 cannot be cancelled any more.");
  assert.match(questionOf(planOf("cancel", [WAITING])).text, /Nothing has been answered yet/);
  const retry = questionOf(planOf("retry", [MIXED, RUNNING]));
  assert.equal(retry.title, "Retry 57 requests of “Mixed”?");
  assert.match(retry.text, /become a new batch\. This one and its files stay.*1 has nothing to retry/);
  assert.match(questionOf(planOf("retry", [MIXED, MIXED])).text, /become 2 new batches: “Mixed”, “Mixed”\. The old ones/);
  assert.match(questionOf(planOf("cancel", new Array(6).fill(RUNNING))).text, /and 2 more/);
});

test("of one batch the question has its name, and only answers are said to stay", () => {
  const { title, text, act, keep } = questionOf(planOf("cancel", [batch({ counts: { completed: 1 } })]));
  assert.deepEqual([title, act, keep], ["Cancel “Spring intake”?", "Cancel batch", "Keep it running"]);
  assert.equal(text, "9 requests will not run. The 1 answer so far stays and can be downloaded.");
  const failing = batch({ counts: { total: 60, completed: 0, failed: 40 } });
  assert.equal(questionOf(planOf("cancel", [failing])).text, "20 requests will not run. Nothing has been answered yet.");
  assert.doesNotMatch(questionOf(planOf("cancel", [failing, failing])).text, /downloaded/);
});

test("what can no longer be done is said, not asked", () => {
  const plan = planOf("cancel", [MIXED]);
  assert.deepEqual(plan.batches, []);
  assert.equal(tooLateText(plan, [MIXED]), "“Mixed” cannot be cancelled any more.");
  assert.equal(tooLateText(planOf("retry", [RUNNING, WAITING]), [RUNNING, WAITING]), "None of them can be retried any more.");
});

test("a question about a retry says what was retried before", () => {
  const again = { ...MIXED, retried_by: ["batch_8", "batch_9"] };
  assert.equal(retriedWords([again]), " Already retried as batch_8, batch_9: this runs them again.");
  assert.equal(retriedWords([MIXED]), "");
  assert.match(questionOf(planOf("retry", [MIXED, again])).text, / Already retried “Mixed” as batch_8, batch_9: this runs them again\.$/);
  assert.match(questionOf(planOf("retry", new Array(6).fill(again))).text, /; 2 more: this runs them again\.$/);
  assert.doesNotMatch(questionOf(planOf("retry", [MIXED, RUNNING])).text, /Already/);
});

test("what was done is said with what was not", () => {
  const plan = planOf("cancel", [RUNNING, WAITING]);
  assert.equal(outcomeText(plan, 2, 0), "2 batches are being cancelled.");
  assert.equal(outcomeText(plan, 1, 0), "1 of 2 batches is being cancelled.");
  assert.equal(outcomeText(planOf("retry", [MIXED]), 1, 57), "57 requests queued again from 1 batch.");
});

test("a batch is copied as commands that run as they are, and a key is never among them", () => {
  const curl = asCurl(batch(), { api: "http://localhost:4080", key: true });
  assert.equal(curl.split("\n")[0], 'curl -fsS -H "Authorization: Bearer $BATCH_API_KEY" http://localhost:4080/v1/batches/batch_7f3a');
  assert.match(asCurl(batch(), { api: "http://x", key: false }), /^curl -fsS http:\/\/x\/v1\/batches\/batch_7f3a\ncurl -fsS -o batch_7f3a_output.jsonl http:\/\/x\/v1\/batches\/batch_7f3a\/results\n$/);
  assert.match(asCurl(batch({ id: "a'; rm -rf ~" }), { api: "http://x", key: false }), /'http:\/\/x\/v1\/batches\/a'\\''%3B%20rm%20-rf%20~'/);
  const python = asPython(batch(), { api: "http://localhost:4080", key: true });
  assert.match(python, /BATCH_API_KEY/);
  assert.match(asPython(batch(), { api: "http://x", key: false }), /^import requests\n/);
});
