// Many answers as a table: the server filters, sorts and pages; the address says all that is shown.

import { ApiError, bindDownload } from "./api.js";
import { batchesWithAnswers, fillPicker } from "./batch_picker.js";
import { isOpen } from "./batches.js";
import { chosenColumns, columnsOf, defaultColumns, moved } from "./columns.js";
import { byId, el, setAttribute, setText } from "./dom.js";
import { integer } from "./format.js";
import { createNotice, messageOf, visit } from "./page.js";
import { createPoller } from "./poller.js";
import { createChooser } from "./table_chooser.js";
import { createGrid } from "./table_grid.js";
import { findRow, rowNumber } from "./table_jump.js";
import { createMenu } from "./table_menu.js";
import { exportPath, nextSort, questionOf, tableAddress, tablePlaceOf } from "./table_place.js";
import { createReading, readBatch } from "./table_reading.js";
import { drawState, drawTools } from "./table_state.js";
import { drawChips, drawChoices, withoutFilters } from "./table_words.js";

/** @typedef {import("./table_place.js").TablePlace} TablePlace */
/** @typedef {import("./columns.js").Column} Column */

const RUNNING_MS = 5000;
const INDEXING_MS = 800;
const TYPING_PAUSE_MS = 60;
const RESTING_MS = 250;
const FIRST_ROWS = 60;

let place = tablePlaceOf(location.search);
/** @type {import("./wire.js").Batch | null} */
let batch = null;
/** @type {Column[]} */
let offered = [];
/** @type {string[]} */
let usual = [];
/** @type {import("./table_reading.js").Extent | null} */
let extent = null;
/** @type {number | null} the row that the coming rows shall begin with */
let toRow = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let resting;
/** Whether the latest reading failed. */
let isWrong = false;
let jumps = 0;

const retry = el("button", { type: "button" }, "Try again");
const notice = createNotice({ buttons: [retry] });
const reading = createReading({ onRows: showRows, onFail: failed });
const grid = createGrid({
  sort: (id) => go({ ...place, sort: nextSort(place.sort, id) }),
  open: (column, opener) => menu.open(column, opener),
  size: (id, width) => go({ ...place, widths: { ...place.widths, [id]: width } }, "replace"),
  move: (id, beside) => setColumns(moved(shownIds(), id, shownIds().indexOf(beside))),
  scrolled,
});
const menu = createMenu({
  place: () => place,
  go: (changed) => go({ ...place, ...changed }),
  hide: (id) => setColumns(shownIds().filter((other) => other !== id)),
  shift: (id, by) => setColumns(moved(shownIds(), id, shownIds().indexOf(id) + by)),
  isLogical: ({ path }) => path !== null && grid.rows().some((row) => typeof row.values[path] === "boolean"),
});
const chooser = createChooser({ choose: setColumns });
const poller = createPoller({ work: load, onDone: right, onFail: failed });

function columns() {
  return chosenColumns(offered, place.columns ?? usual);
}

function shownIds() {
  return columns().map(({ id }) => id);
}

function paths() {
  return columns().flatMap(({ path }) => path ?? []);
}

/** @param {string[] | null} ids null: the usual ones */
function setColumns(ids) {
  go({ ...place, columns: ids?.filter((id) => id !== "custom_id") ?? null });
}

/** @param {TablePlace} next @param {"push" | "replace"} [how] */
function go(next, how = "push") {
  rememberRow();
  place = { ...next, row: place.row };
  if (!reading.shows(place)) place.row = 0;
  visit(tableAddress(place), how);
  if (reading.answers(place, paths())) draw();
  else void ask().catch(failed);
}

/** Asks for the rows to be shown; those shown now stay until they are there. Of another question they begin at the
 * remembered row, however often it is asked before its answer comes. */
async function ask() {
  drawControls();
  setAttribute(byId("scroll"), "aria-busy", "true");
  const isNew = !reading.shows(place);
  const rows = isNew ? { first: place.row, end: place.row + FIRST_ROWS } : grid.view().drawn;
  try {
    await reading.ask(place, paths(), rows, () => (toRow = isNew ? place.row : toRow));
    right();
  } finally {
    setAttribute(byId("scroll"), "aria-busy", null);
  }
}

/** One turn: the batch, its fields, and the rows again.
 * @param {AbortSignal} signal */
async function load(signal) {
  if (!place.batch) return;
  const found = await readBatch(place, signal);
  batch = found.batch;
  offered = columnsOf(found.fields);
  const isSettled = usual.some((id) => offered.find((column) => column.id === id)?.path);
  if (!isSettled) usual = defaultColumns(offered, { hasFailures: batch.request_counts.failed > 0 });
  await ask();
}

/** @param {import("./table_reading.js").Extent} table */
function showRows({ total, indexed, complete }) {
  extent = { total, indexed, complete };
  draw();
  if (toRow !== null) grid.scrollTo(toRow);
  toRow = null;
  scrolled();
  poller.every(!complete ? INDEXING_MS : batch && isOpen(batch) ? RUNNING_MS : 0);
}

/** @param {unknown} error */
function failed(error) {
  const isRefused = error instanceof ApiError && error.status < 500;
  if (isRefused) {
    reading.forget();
    extent = null;
    poller.every(0);
  }
  isWrong = true;
  say(error);
  byId("content").classList.toggle("stale", extent !== null);
  drawControls();
}

/** What went wrong beside the rows leaves them as they are.
 * @param {unknown} error */
function say(error) {
  notice.say("bad", messageOf(error));
}

function right() {
  isWrong = false;
  notice.hide();
  byId("content").classList.remove("stale");
}

function draw() {
  drawControls();
  if (extent) grid.draw({ place, columns: columns(), total: extent.total, row: reading.row });
}

/** Everything around the rows. */
function drawControls() {
  drawTools(place);
  drawState({ place, batch, extent, isLoading: place.batch !== "" && extent === null && !isWrong });
  setText(byId("columns-count"), `${columns().length} of ${offered.length}`);
  chooser.update(offered, shownIds());
  drawChips(place, (changed) => go({ ...place, ...changed }));
  for (const format of /** @type {const} */ (["csv", "jsonl"])) {
    if (extent) bindDownload(byId(format), exportPath(place, paths(), format), `${place.batch}_answers.${format}`, say);
  }
}

function scrolled() {
  if (!extent) return;
  const { seen, drawn } = grid.view();
  reading.want(drawn);
  setText(byId("range"), `Rows ${integer(seen.first + 1)} – ${integer(seen.end)} of ${integer(extent.total)}`);
  clearTimeout(resting);
  resting = setTimeout(rememberRow, RESTING_MS);
}

/** So that a copied address and the way back lead to the same rows. */
function rememberRow() {
  clearTimeout(resting);
  const row = extent && toRow === null && reading.shows(place) ? grid.view().seen.first : place.row;
  if (row === place.row) return;
  place.row = row;
  visit(tableAddress(place), "replace");
}

/** @param {SubmitEvent} event */
async function jump(event) {
  event.preventDefault();
  const word = byId("jump-to").value.trim();
  if (!extent || word === "") return byId("jump-to").focus();
  const order = offered.find(({ id }) => id === place.sort.replace(/^-/, ""));
  const isWhole = extent.total === batch?.request_counts.total;
  const isRow = byId("jump-kind").value === "row";
  const mine = (jumps += 1);
  const asked = questionOf(place);
  const found = isRow ? rowNumber(word, extent.total) : await findRow(place, word, { order, isWhole });
  if (mine !== jumps || asked !== questionOf(place)) return; // another jump or question has overtaken this one
  setText(byId("announce"), found ? `Row ${integer(found.index + 1)} ${found.customId}` : "No such row");
  byId("jump-to").setCustomValidity(found ? "" : isRow ? `A number from 1 to ${integer(extent.total)}` : "No custom_id here begins like this");
  byId("jump-to").reportValidity();
  if (found) grid.scrollTo(found.index, { mark: true });
}

/** Another batch, or the first. */
function start() {
  reading.forget();
  right();
  batch = extent = null;
  offered = columnsOf([]);
  usual = [];
  toRow = null;
  byId("picker").value = place.batch;
  drawControls();
  poller.every(place.batch ? RUNNING_MS : 0);
  if (place.batch) void poller.now();
}

function arrive() {
  const before = place.batch;
  place = tablePlaceOf(location.search);
  if (place.batch !== before) return start();
  if (!reading.answers(place, paths())) return void ask().catch(failed);
  draw();
  grid.scrollTo(place.row);
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let typing;
function search() {
  clearTimeout(typing);
  if (byId("search").value !== place.text) go({ ...place, text: byId("search").value }, "replace");
}
byId("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(search, TYPING_PAUSE_MS);
});
byId("search").addEventListener("change", search); // left before the pause
byId("status").addEventListener("change", () => go({ ...place, status: byId("status").value }));
byId("wrap").addEventListener("click", () => go({ ...place, wrap: !place.wrap }));
byId("clear").addEventListener("click", () => go(withoutFilters(place)));
byId("jump").addEventListener("submit", (/** @type {SubmitEvent} */ event) => void jump(event).catch(say));
byId("jump-to").addEventListener("input", () => byId("jump-to").setCustomValidity(""));
byId("picker").addEventListener("change", () => {
  place = tablePlaceOf(`?${new URLSearchParams({ batch: byId("picker").value })}`);
  visit(tableAddress(place));
  start();
});
retry.addEventListener("click", () => void poller.now());
addEventListener("popstate", arrive);
addEventListener("keydown", (event) => {
  const target = { "/": "search", g: "jump-to" }[event.key];
  const isTyping = /** @type {Element} */ (event.target).closest("input, textarea, select, dialog, [popover]") !== null;
  if (!target || isTyping || event.ctrlKey || event.metaKey || event.altKey || !place.batch) return;
  event.preventDefault();
  byId(target).focus();
});
start();
try {
  const batches = await batchesWithAnswers();
  fillPicker(byId("picker"), batches, place.batch || null);
  drawChoices(batches);
} catch (error) {
  if (!place.batch) notice.say("bad", messageOf(error));
}
