// What is happening now: polls the API and keeps the vitals, the running batches and the finished ones current.

import { callJson } from "../shared/api.js";
import { createJobRow } from "../shared/batch_rows.js";
import { createBatchTable } from "../shared/batch_table.js";
import { isQueued, TABS } from "../shared/batches.js";
import { byId, el, icon, reconcile, setText, show } from "../shared/dom.js";
import { integer, plural } from "../shared/format.js";
import { createFreshness, createPoller } from "../shared/live.js";
import { createTabs, remember, remembered, setUrl, startPage, withCommands } from "../shared/page.js";
import {
  createSeries,
  createVitalCard,
  dayVital,
  emptyIn,
  gpuVital,
  queueVital,
  workerVital,
} from "../shared/status_cards.js";
import { createExtras } from "./lazy_parts.js";
import { addressOf, inTab, isListed, listQuery, matches, placeIn, placeOf, RECENT } from "./url_state.js";

startPage();

/** @typedef {import("../shared/wire.js").Batch} Batch */
/** @typedef {import("./url_state.js").Place} Place */
/**
 * @typedef {{ health: import("../shared/wire.js").Health, open: import("../shared/wire.js").BatchList, rows:
 * import("../shared/wire.js").BatchList, asked: string }} Reading `rows` answer what was `asked`
 */

const TYPED_MS = 250;

const cards = {
  gpu: createVitalCard(byId("gpu"), "GPU memory in use"),
  worker: createVitalCard(byId("worker"), "Tokens per second, last hour"),
  queue: createVitalCard(byId("queue"), "Queued requests of the most allowed"),
  day: createVitalCard(byId("day"), "Requests per second, last 24 hours"),
};
const series = createSeries();
const poller = createPoller({
  work: read,
  onDone: draw,
  onFail: (...failure) => freshness.failed(...failure),
});
const freshness = createFreshness({ retryNow: () => void poller.now() });
const { actions, extras, drawn } = createExtras({
  changed: () => void poller.now(),
  redraw: () => reading && drawBatches(reading),
});
const table = createBatchTable(byId("table"), actions, extras);
const recentTable = createBatchTable(byId("recent"), actions, extras);
const tabs = createTabs(byId("tabs"), TABS, { panel: "panel", choose: (tab) => go(inTab(place, tab)) });
const filter = byId("filter");
let place = placeOf(location.search);
/** @type {Reading | undefined} */
let reading;
/** @type {Set<string>} */
let openBefore = new Set();
/** @type {ReturnType<typeof setTimeout> | undefined} */
let typing;

/** Move to another tab, page or filter, so that Back and a copied address lead there.
 * @param {Place} to */
function go(to) {
  setUrl(addressOf(to));
  arrive();
}

function arrive() {
  place = placeOf(location.search);
  if (filter.value.trim() !== place.q) filter.value = place.q;
  tabs.select(place.tab);
  byId("panel").classList.add("loading");
  void poller.now();
}

/** What is there is filtered at once; what is not, the API is asked for when the person pauses. */
function typed() {
  place = placeIn(place.tab, filter.value);
  setUrl(addressOf(place), "replace");
  tabs.select(place.tab);
  clearTimeout(typing);
  byId("panel").classList.toggle("loading", !isAnswered());
  if (!isAnswered()) typing = setTimeout(() => void poller.now(), TYPED_MS);
  if (reading) drawBatches(reading);
}

/** Whether the rows are those of this tab, page and filter, and not of the ones before. */
function isAnswered() {
  return reading?.asked === String(listQuery(place));
}

/** @param {AbortSignal} signal @returns {Promise<Reading>} */
async function read(signal) {
  const asked = String(listQuery(place));
  const [health, open, rows] = await Promise.all([
    callJson("/health", { signal }),
    callJson("/v1/batches?status=active&limit=100", { signal }),
    callJson(`/v1/batches?${asked}`, { signal }),
    series.refresh(signal),
  ]);
  return { health, open, rows, asked };
}

/** @param {Reading} now */
function draw(now) {
  reading = now;
  freshness.updated();
  const { health, open } = now;
  cards.gpu.update(gpuVital(health.gpu, health.worker.model));
  cards.worker.update(workerVital(health.worker, series.tokens(health.time)));
  cards.queue.update(queueVital(health.queue, emptyIn(open.data)));
  cards.day.update(dayVital(health, series.answers(health.time)));
  reconcile(byId("problems"), health.problems, (problem) => problem, createProblem);
  show(byId("problems"), health.problems.length > 0);
  byId("panel").classList.toggle("loading", !isAnswered());
  drawBatches(now);
  announceFinished(open.data);
  setText(byId("title"), `${open.data.length > 0 ? `${integer(open.data.length)} active · ` : ""}Batch`);
  drawn.health(health);
}

/** @param {Reading} now */
function drawBatches({ open, rows }) {
  tabs.count(rows.counts);
  const jobs = jobsOf(open.data);
  const found = rows.data.filter((batch) => isListed(batch, place.tab) && matches(batch, place.terms));
  const finished = jobs === null ? found : place.tab === "active" ? found.slice(0, RECENT) : [];
  drawn.batches([...(jobs ?? []), ...finished]);
  reconcile(
    byId("jobs"),
    jobs ?? [],
    (batch) => batch.id,
    () => createJobRow(actions, extras),
  );
  show(byId("jobs"), Boolean(jobs?.length));
  table.update(jobs === null ? finished : [], { oneState: place.tab !== "all" });
  recentTable.update(jobs === null ? [] : finished);
  show(byId("recent"), jobs !== null && finished.length > 0);
  drawPager(jobs !== null, rows);
  drawMatches((jobs ?? finished).length, jobs === null ? rows : open);
  const nothing = (jobs ?? finished).length === 0 && !byId("panel").classList.contains("loading");
  show(byId("empty"), nothing);
  if (nothing) void drawEmpty(rows);
}

/** The open batches of this tab: the running ones first, then the queue in its order; null in the other tabs.
 * @param {Batch[]} open @returns {Batch[] | null} */
function jobsOf(open) {
  if (place.tab !== "active" && place.tab !== "queued") return null;
  const wanted = open.filter(
    (batch) => (place.tab === "active" || isQueued(batch)) && matches(batch, place.terms),
  );
  /** @param {Batch} batch */
  const order = (batch) => (isQueued(batch) ? 1e6 + (batch.progress.queue_position ?? 1e5) : 0);
  return wanted.sort((a, b) => order(a) - order(b) || a.created_at - b.created_at);
}

/** @param {boolean} jobs @param {Reading["rows"]} rows */
function drawPager(jobs, rows) {
  show(byId("pager"), !jobs && (rows.has_more || place.after !== null));
  byId("older").disabled = !rows.has_more;
  byId("newest").disabled = place.after === null;
}

/** @param {number} count @param {Reading["rows"]} searched */
function drawMatches(count, searched) {
  const of = searched.has_more
    ? `${integer(searched.data.length)} ${place.after ? "older ones" : "newest"}`
    : integer(searched.data.length);
  setText(
    byId("matches"),
    place.q ? `${integer(count)} of the ${of} ${count === 1 ? "matches" : "match"}` : "",
  );
  show(byId("matches"), place.q !== "" && count > 0);
}

/** @param {Reading["rows"]} rows */
async function drawEmpty({ counts, has_more: more }) {
  const { emptyText, nothingMatches } = await import("./empty_texts.js");
  const text = place.q ? nothingMatches(more) : emptyText(place.tab, counts.all === 0);
  setText(byId("empty-title"), text.title);
  setText(byId("empty-text"), text.text);
  show(byId("empty-action"), text.submit);
  show(byId("clear-filter"), place.q !== "");
}

/** @param {Batch[]} open */
function announceFinished(open) {
  const now = new Set(open.map((batch) => batch.id));
  const finished = [...openBefore].filter((id) => !now.has(id)).length;
  if (finished > 0) setText(byId("announce"), `${plural(finished, "batch", "batches")} ended.`);
  openBefore = now;
}

/** @param {string} problem @returns {import("../shared/dom.js").View} */
function createProblem(problem) {
  return {
    node: el("li", { class: "notice warn" }, icon("warning"), el("p", {}, ...withCommands(problem))),
    update() {},
  };
}

const interval = byId("interval");
interval.value = remembered("batch-refresh") ?? "5000";
if (!interval.value) interval.value = "5000";
interval.addEventListener("change", () => {
  remember("batch-refresh", interval.value);
  poller.every(Number(interval.value));
});
byId("refresh").addEventListener("click", () => void poller.now());
byId("older").addEventListener(
  "click",
  () => isAnswered() && go({ ...place, after: reading?.rows.last_id ?? null }),
);
byId("newest").addEventListener("click", () => go({ ...place, after: null }));
byId("clear-filter").addEventListener("click", () => {
  filter.value = "";
  filter.focus();
  typed();
});
filter.addEventListener("input", typed);
addEventListener("popstate", arrive);
poller.every(Number(interval.value));
arrive();
