// What is happening now: polls the API and keeps the vitals, the running batches and the finished ones current.

import { callJson } from "./api.js";
import { createBatchActions } from "./batch_actions.js";
import { createBatchTable } from "./batch_table.js";
import { isQueued, TABS } from "./batches.js";
import { byId, el, mirror, setText, show } from "./dom.js";
import { emptyText } from "./empty_texts.js";
import { createFreshness } from "./freshness.js";
import { integer } from "./format.js";
import { icon } from "./icons.js";
import { createJobRow } from "./job_row.js";
import { withCommands } from "./notice.js";
import { remember, remembered } from "./page.js";
import { createPoller } from "./poller.js";
import { createSeries } from "./series.js";
import { createTabs } from "./tabs.js";
import { createVitalCard } from "./vital_card.js";
import { dayVital, emptyIn, gpuVital, queueVital, workerVital } from "./vitals.js";

/** @typedef {import("./wire.js").Batch} Batch */
/** @typedef {{ health: import("./wire.js").Health, open: import("./wire.js").BatchList, rows: import("./wire.js").BatchList }} Reading */

const FINISHED = "status=completed&status=failed&status=cancelled&status=expired";
const PAGE_SIZE = 20;
const RECENT = 5;

const cards = {
  gpu: createVitalCard(byId("gpu"), "GPU memory in use"),
  worker: createVitalCard(byId("worker"), "Tokens per second, last hour"),
  queue: createVitalCard(byId("queue"), "Queued requests of the most allowed"),
  day: createVitalCard(byId("day"), "Requests per second, last 24 hours"),
};
const series = createSeries();
const poller = createPoller({ work: read, onDone: draw, onFail: (...failure) => freshness.failed(...failure) });
const freshness = createFreshness({ retryNow: () => void poller.now() });
const actions = createBatchActions({ changed: () => void poller.now() });
const table = createBatchTable(byId("table"), actions);
const recentTable = createBatchTable(byId("recent"), actions);
const tabs = createTabs(byId("tabs"), TABS, { panel: "panel", choose: (tab) => go({ tab }) });
let place = placeFrom(location.search);
/** @type {string | null} */
let lastId = null;
/** @type {Set<string>} */
let openBefore = new Set();

/** @param {string} search @returns {{ tab: string, after: string | null }} */
function placeFrom(search) {
  const asked = new URLSearchParams(search);
  const tab = asked.get("tab") ?? "active";
  return { tab: TABS.some(({ id }) => id === tab) ? tab : "active", after: asked.get("after") };
}

/** Move to another tab or page of it, so that Back and a copied address lead there.
 * @param {{ tab: string, after?: string | null }} to */
function go({ tab, after = null }) {
  const address = new URLSearchParams({ tab, ...(after ? { after } : {}) });
  history.pushState(null, "", `?${address}`);
  arrive();
}

function arrive() {
  place = placeFrom(location.search);
  tabs.select(place.tab);
  byId("panel").classList.add("loading");
  void poller.now();
}

/** @param {AbortSignal} signal @returns {Promise<Reading>} */
async function read(signal) {
  const [health, open, rows] = await Promise.all([
    callJson("/health", { signal }),
    callJson("/v1/batches?status=active&limit=100", { signal }),
    callJson(`/v1/batches?${listQuery()}`, { signal }),
    series.refresh(signal),
  ]);
  return { health, open, rows };
}

function listQuery() {
  const after = place.after ? `&after=${encodeURIComponent(place.after)}` : "";
  if (place.tab === "active" || place.tab === "queued") return `${FINISHED}&limit=${RECENT}`;
  return `limit=${PAGE_SIZE}${place.tab === "all" ? "" : `&status=${place.tab}`}${after}`;
}

/** @param {Reading} reading */
function draw({ health, open, rows }) {
  freshness.updated();
  drawVitals(health, open.data);
  mirror(byId("problems"), health.problems, (problem) => problem, createProblem);
  show(byId("problems"), health.problems.length > 0);
  tabs.count(rows.counts);
  const jobs = jobsOf(open.data);
  drawJobs(jobs, rows);
  drawRows(rows);
  announceFinished(open.data);
  setText(byId("title"), `${open.data.length > 0 ? `${integer(open.data.length)} active · ` : ""}Batch`);
  byId("panel").classList.remove("loading");
}

/** @param {Reading["health"]} health @param {Batch[]} open */
function drawVitals(health, open) {
  cards.gpu.update(gpuVital(health.gpu));
  cards.worker.update(workerVital(health.worker, series.tokens));
  cards.queue.update(queueVital(health.queue, emptyIn(open)));
  cards.day.update(dayVital(health, series.answers));
}

/** The open batches of this tab: the running ones first, then the queue in its order.
 * @param {Batch[]} open @returns {Batch[] | null} */
function jobsOf(open) {
  if (place.tab !== "active" && place.tab !== "queued") return null;
  const wanted = place.tab === "queued" ? open.filter(isQueued) : open;
  /** @param {Batch} batch */
  const order = (batch) => (isQueued(batch) ? 1e6 + (batch.progress.queue_position ?? 1e5) : 0);
  return [...wanted].sort((a, b) => order(a) - order(b) || a.created_at - b.created_at);
}

/** @param {Batch[] | null} jobs @param {Reading["rows"]} rows */
function drawJobs(jobs, rows) {
  mirror(byId("jobs"), jobs ?? [], (batch) => batch.id, () => createJobRow(actions));
  show(byId("jobs"), Boolean(jobs?.length));
  const empty = (jobs ?? rows.data).length === 0;
  show(byId("empty"), empty);
  if (empty) drawEmpty(rows.counts.all === 0);
}

/** @param {boolean} never no batch was ever submitted */
function drawEmpty(never) {
  const text = emptyText(place.tab, never);
  setText(byId("empty-title"), text.title);
  setText(byId("empty-text"), text.text);
  show(byId("empty-action"), text.submit);
}

/** The finished batches stand in the panel of their own tab, or below the running ones.
 * @param {Reading["rows"]} rows */
function drawRows(rows) {
  const own = place.tab !== "active" && place.tab !== "queued";
  const recent = place.tab === "active" && rows.data.length > 0;
  table.update(own ? rows.data : [], { oneState: place.tab !== "all" });
  recentTable.update(recent ? rows.data : []);
  show(byId("recent"), recent);
  lastId = rows.last_id;
  show(byId("pager"), own && (rows.has_more || place.after !== null));
  byId("older").disabled = !rows.has_more;
  byId("newest").disabled = place.after === null;
}

/** @param {Batch[]} open */
function announceFinished(open) {
  const now = new Set(open.map((batch) => batch.id));
  const finished = [...openBefore].filter((id) => !now.has(id)).length;
  if (finished > 0) setText(byId("announce"), finished === 1 ? "A batch has ended." : `${finished} batches have ended.`);
  openBefore = now;
}

/** @returns {import("./dom.js").View} */
function createProblem() {
  const text = el("p");
  return { node: el("li", { class: "notice warn" }, icon("warning"), text), update: (problem) => text.replaceChildren(...withCommands(problem)) };
}

const interval = byId("interval");
interval.value = remembered("batch-refresh") ?? "5000";
if (!interval.value) interval.value = "5000";
interval.addEventListener("change", () => {
  remember("batch-refresh", interval.value);
  poller.every(Number(interval.value));
});
byId("refresh").addEventListener("click", () => void poller.now());
byId("older").addEventListener("click", () => go({ tab: place.tab, after: lastId }));
byId("newest").addEventListener("click", () => go({ tab: place.tab }));
addEventListener("popstate", arrive);
poller.every(Number(interval.value));
arrive();
