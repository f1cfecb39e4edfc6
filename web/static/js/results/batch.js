// One batch: what it is, what went wrong in it, and its requests. Filters, order, page and open row are in the address.

import { callJson, onDemand } from "../shared/api.js";
import { batchPath, isOpen } from "../shared/batches.js";
import { byId, show } from "../shared/dom.js";
import { createFreshness, createPoller } from "../shared/live.js";
import { createLateActions, isForPage, setUrl } from "../shared/page.js";
import {
  addressOf,
  amongAnswers,
  answersQuery,
  beforeQuery,
  filterQuery,
  ledgerQuery,
  nextSort,
  PAGE_SIZE,
  placeOf,
  sourceOf,
  withValue,
} from "../shared/row_query.js";
import { drawErrors, drawHead } from "./batch_head.js";
import { createFacets } from "./facets.js";
import { createRequestTable, drawFilters, drawRows, listenToFilters } from "./rows.js";

const EVERY_MS = 5000;
const INDEXING_EVERY_MS = 1000;
const FACETS_EVERY_MS = 15_000;

/** @typedef {import("../shared/wire.js").Batch} Batch */
/** @typedef {import("../shared/row_query.js").Place} Place */
/** @typedef {import("./batch_head.js").ErrorGroup} ErrorGroup */
/**
 * @typedef {{ source: "answers" | "ledger", data: (import("../shared/wire.js").RequestRow |
 * import("../shared/wire.js").AnswerRow)[], total: number | null, has_more?: boolean, indexed?: number,
 * complete?: boolean }} Rows
 */

const id = new URLSearchParams(location.search).get("batch") ?? "";
const path = batchPath(id);
const poller = createPoller({ work: read, onDone: draw, onFail: failed });
const freshness = createFreshness({ retryNow: () => void poller.now() });
const actions = createLateActions({ changed: () => void poller.now() });
const table = createRequestTable(byId("requests"), {
  open: openRow,
  sort: (first) => go({ ...firstPage(), sort: nextSort(place().sort, first) }),
  addressOf: (line) => addressOf(id, { ...place(), line }),
});
const facets = createFacets(byId("facet-list"), id, {
  place,
  go: (to) => go({ ...to, offset: 0, after: 0, line: null }),
});
/** @type {ReturnType<typeof import("./row_drawer.js").createRowDrawer> | null} */
let drawer = null;
/** @type {Batch | null} */
let batch = null;
/** @type {Rows | null} */
let rows = null;
let facetsAsked = "";
let facetsAt = -Infinity;
let readingFacets = new AbortController();
/** A step of the drawer that turns the page: where it leads, and the row that is open until the page is there.
 * @type {{ direction: 1 | -1, from: number } | null} */
let turning = null;

function place() {
  return placeOf(location.search);
}

/** The same question from its first page on. @returns {Place} */
function firstPage() {
  return { ...place(), offset: 0, after: 0, line: null };
}

/** The batch first: once it has ended nothing is read again, so what it did last must be in all that is read with it.
 * @param {AbortSignal} signal @returns {Promise<[Batch, { data: ErrorGroup[] }, Rows]>} */
async function read(signal) {
  const found = await callJson(path, { signal });
  return [found, ...(await Promise.all([callJson(`${path}/errors`, { signal }), readRows(found, signal)]))];
}

/** @param {Batch} found @param {AbortSignal} signal @returns {Promise<Rows>} */
async function readRows({ request_counts: counts }, signal) {
  const source = sourceOf(place(), counts.total - counts.completed - counts.failed);
  if (source === "ledger") return readLedger(signal);
  if (place().after > 0 && !(await moveToAnswers(signal)))
    return { ...(await readLedger(signal)), complete: false };
  return { source, ...(await callJson(`${path}/answers?${answersQuery(place())}`, { signal })) };
}

/** @param {AbortSignal} signal @returns {Promise<Rows>} */
async function readLedger(signal) {
  return { source: "ledger", ...(await callJson(`${path}/requests?${ledgerQuery(place())}`, { signal })) };
}

/** The answers take over from the ledger, when the batch has ended, at the rows where somebody is.
 * @param {AbortSignal} signal @returns {Promise<boolean>} false while too few answers are read to tell where that is */
async function moveToAnswers(signal) {
  const { total, complete } = await callJson(`${path}/answers?${beforeQuery(place())}`, { signal });
  if (complete) setUrl(addressOf(id, amongAnswers(place(), total)), "replace");
  return complete;
}

/** @param {Place} to @param {"push" | "replace"} [how] */
function go(to, how = "push") {
  setUrl(addressOf(id, to), how);
  arrive();
}

function arrive() {
  drawFilters(id, place(), go);
  void showDrawer();
  void poller.now();
}

/** @param {[Batch, { data: ErrorGroup[] }, Rows]} reading */
function draw([found, errors, list]) {
  batch = found;
  rows = list;
  freshness.updated();
  drawHead(found, actions);
  drawErrors(errors.data, {
    filter: (code) => go({ ...withValue(firstPage(), "error_code", code) }),
    open: openRow,
  });
  table.update(list.data, place());
  table.mark(place().line);
  drawRows(place(), list, found);
  finishTurn(list);
  drawer?.refresh();
  drawWays();
  void drawFacets(found, list);
  poller.every(list.complete === false ? INDEXING_EVERY_MS : isOpen(found) ? EVERY_MS : 0);
}

/** What has ended is read once for each question, but one that found no answer is asked until it has one.
 * @param {unknown} error @param {number} failures @param {number | null} delayMs */
function failed(error, failures, delayMs) {
  freshness.failed(error, failures, delayMs);
  poller.every(EVERY_MS);
}

/** Counts are many rows' worth of work: asked for with every new question, seldom while nothing but time passes, and
 * once more when no answer comes any more.
 * @param {Batch} found @param {Rows} list */
async function drawFacets(found, list) {
  const asked = `${filterQuery(place())} ${list.complete} ${isOpen(found)}`;
  const isOld = isOpen(found) && performance.now() - facetsAt > FACETS_EVERY_MS;
  if (asked === facetsAsked && !isOld) return;
  facetsAsked = asked;
  facetsAt = performance.now();
  readingFacets.abort();
  readingFacets = new AbortController();
  const { signal } = readingFacets;
  try {
    show(byId("facets"), await facets.refresh(place(), signal));
  } catch {
    if (signal.aborted) return;
    facetsAsked = ""; // the next turn tries again; rows are there without counts
    poller.every(EVERY_MS);
  }
}

/** @param {number} line */
function openRow(line) {
  setUrl(addressOf(id, { ...place(), line }));
  void showDrawer();
}

const fetchDrawer = onDemand(async () => {
  const { createRowDrawer } = await import("./row_drawer.js");
  return createRowDrawer(id, {
    step,
    closed: closeRow,
    read: drawWays,
    failed: () => poller.every(EVERY_MS),
    link: () => new URL(addressOf(id, { ...place(), offset: 0, after: 0 }), location.href).href,
  });
});

/** Shows the row that the address names, or none. */
async function showDrawer() {
  table.mark(place().line);
  if (place().line === null && drawer === null) return;
  try {
    drawer = await fetchDrawer();
  } catch (error) {
    return actions.failed(error);
  }
  const { line } = place();
  if (line === null) return drawer.hide();
  drawer.show(line);
  drawWays();
}

function closeRow() {
  const { line } = place();
  if (line === null) return;
  setUrl(addressOf(id, { ...place(), line: null }), "replace");
  table.mark(null);
  table.focus(line);
}

/** Steps through the list as it is filtered and sorted; a row outside of it steps through the file.
 * @param {1 | -1} direction */
function step(direction) {
  const to = lineBeside(direction);
  if (to === null) return;
  if (to === "page") turnPage(direction);
  else {
    setUrl(addressOf(id, { ...place(), line: to }), "replace");
    void showDrawer();
  }
}

/** @param {1 | -1} direction @returns {number | "page" | null} */
function lineBeside(direction) {
  const { line, offset } = place();
  const data = rows?.data ?? [];
  const here = data.findIndex((row) => row.line === line);
  if (here < 0) return drawer?.neighbours()[direction > 0 ? "next" : "previous"] ?? null;
  const beside = data[here + direction];
  if (beside) return beside.line;
  const hasPage = direction > 0 ? hasMore() : rows?.source === "answers" && offset > 0;
  return hasPage ? "page" : null;
}

function hasMore() {
  return rows?.source === "answers"
    ? place().offset + rows.data.length < (rows.total ?? 0)
    : Boolean(rows?.has_more);
}

/** @param {1 | -1} direction */
function turnPage(direction) {
  const { line } = place();
  if (line === null || turning?.from === line) return;
  turning = { direction, from: line };
  setUrl(addressOf(id, pageBeside(direction)), "replace");
  void poller.now();
}

/** Whoever opened another row meanwhile, or none, stays there.
 * @param {Rows} list */
function finishTurn(list) {
  const row =
    turning && turning.from === place().line ? list.data.at(turning.direction > 0 ? 0 : -1) : undefined;
  turning = null;
  if (!row) return;
  setUrl(addressOf(id, { ...place(), line: row.line }), "replace");
  void showDrawer();
}

/** @param {1 | -1} direction @returns {Place} */
function pageBeside(direction) {
  const now = place();
  if (rows?.source === "ledger")
    return { ...now, offset: 0, after: direction > 0 ? (rows.data.at(-1)?.line ?? 0) : 0 };
  return { ...now, after: 0, offset: Math.max(0, now.offset + direction * PAGE_SIZE) };
}

function drawWays() {
  const here = (rows?.data ?? []).findIndex((row) => row.line === place().line);
  const isCounted = here >= 0 && rows?.source === "answers";
  const where = isCounted ? `${place().offset + here + 1} of ${rows?.total} in this list` : "";
  drawer?.allow({ previous: lineBeside(-1) !== null, next: lineBeside(1) !== null, where });
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  if (!isForPage(event)) return;
  if (event.key === "/") {
    event.preventDefault();
    byId("search").focus();
  } else if (event.key === "j" || event.key === "k") table.move(event.key === "j" ? 1 : -1);
}

listenToFilters(place, go);
byId("next").addEventListener("click", () => hasMore() && go({ ...pageBeside(1), line: null }));
byId("previous").addEventListener("click", () => go({ ...pageBeside(-1), line: null }));
byId("first").addEventListener("click", () => go(firstPage()));
byId("cancel").addEventListener("click", () => batch && actions.cancel(batch));
byId("retry").addEventListener("click", () => batch && actions.retry(batch));
document.addEventListener("keydown", onKey);
// A person who reaches for a row is about to open one.
for (const sign of ["pointerenter", "focusin"])
  byId("requests").addEventListener(sign, () => fetchDrawer().catch(() => undefined), { once: true });
addEventListener("popstate", arrive);
poller.every(EVERY_MS);
arrive();
