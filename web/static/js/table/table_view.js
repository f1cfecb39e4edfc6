// Many answers as a table: the server filters, sorts and pages; the address says all that is shown.

import { bindDownload, isRefused, onDemand } from "../shared/api.js";
import { isOpen } from "../shared/batches.js";
import { byId, setAttribute, setText } from "../shared/dom.js";
import { integer } from "../shared/format.js";
import { createPoller } from "../shared/live.js";
import { createNotice, createTroubleNotice, messageOf, setUrl, startPage } from "../shared/page.js";
import { nextSort } from "../shared/row_query.js";
import { chosenColumns, columnsOf, defaultColumns, moved } from "./columns.js";
import { bindTools, drawState, drawTools } from "./frame.js";
import { createGrid } from "./grid.js";
import { createReading, readBatches } from "./row_pages.js";
import { exportPath, isJoined, isNarrowed, tableAddress, tablePlaceOf } from "./url_state.js";

startPage();

/** @typedef {import("./url_state.js").TablePlace} TablePlace */

const RUNNING_MS = 5000;
const INDEXING_MS = 800;
const RESTING_MS = 250;
const FIRST_ROWS = 60;

let place = tablePlaceOf(location.search);
/** @type {import("../shared/wire.js").Batch[]} those of the table that are read */
let batches = [];
let offered = /** @type {import("./columns.js").Column[]} */ ([]);
let usual = /** @type {string[]} */ ([]);
let extent = /** @type {import("./row_pages.js").Extent | null} */ (null);
/** @type {number | null} the row that the coming rows shall begin with */
let toRow = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let resting;
let isWrong = false; // whether the latest reading failed
/** What was needed so far of what is fetched on demand.
 * @type {{ chooser?: ReturnType<typeof import("./column_chooser.js").createChooser>, choice?:
 * ReturnType<typeof import("./batch_choice.js").createBatchChoice>,
 *   words?: typeof import("./texts.js"), groups?: typeof import("./column_groups.js") }} */
const there = {};

const notice = createTroubleNotice(() => void poller.now());
const aside = createNotice({ closable: true });
const reading = createReading({ onRows: showRows, onFail: failed });
const grid = createGrid({
  sort: (id) => go({ ...place, sort: nextSort(place.sort, id) }),
  open: (column, opener) =>
    void menu()
      .then((made) => made.open(column, opener))
      .catch(say),
  size: (id, width) => go({ ...place, widths: { ...place.widths, [id]: width } }, "replace"),
  move: (id, beside) => setColumns(moved(shownIds(), id, shownIds().indexOf(beside))),
  scrolled,
});
const poller = createPoller({ work: load, onDone: right, onFail: failed });
const menu = onDemand(async () =>
  (await import("./menu.js")).createMenu({
    place: () => place,
    go: (changed) => go({ ...place, ...changed }),
    hide: (id) => setColumns(shownIds().filter((other) => other !== id)),
    shift: (id, by) => setColumns(moved(shownIds(), id, shownIds().indexOf(id) + by)),
    isLogical: ({ path, batch }) =>
      path !== null && grid.rows().some(({ answers }) => typeof answers[batch]?.values[path] === "boolean"),
  }),
);
const chooser = onDemand(
  async () => (there.chooser = (await import("./column_chooser.js")).createChooser({ choose: setColumns })),
);
const choice = onDemand(
  async () => (there.choice = (await import("./batch_choice.js")).createBatchChoice({ choose })),
);
const words = onDemand(async () => (there.words = await import("./texts.js")));
const jumping = onDemand(() => import("./jump.js"));
const several = onDemand(async () => (there.groups = await import("./column_groups.js")));

function columns() {
  return chosenColumns(offered, place.columns ?? usual);
}

function shownIds() {
  return columns().map(({ id }) => id);
}

/** As the API has them. */
function paths() {
  return columns().flatMap(({ path, batch }) =>
    path === null ? [] : isJoined(place) ? `${batch + 1}.${path}` : path,
  );
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
  setUrl(tableAddress(place), how);
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

/** One turn: the batches, their fields, and the rows again; for whoever came without a batch, those there are.
 * @param {AbortSignal} signal */
async function load(signal) {
  if (place.batches.length === 0) return offer();
  const joining = isJoined(place) ? await several() : null;
  const { batches: found, fields } = await readBatches(place, signal);
  batches = found;
  offered = joining ? joining.joinedColumns(fields) : columnsOf(fields[0]);
  const isSettled = usual.some((id) => offered.find((column) => column.id === id)?.path);
  const facts = { hasFailures: batches.some((batch) => batch.request_counts.failed > 0) };
  if (!isSettled) usual = joining ? joining.joinedDefaults(fields, facts) : defaultColumns(offered, facts);
  await ask();
  await joining?.match(place, { isComplete: extent?.complete ?? false, notice: aside }, signal);
}

/** @param {import("./row_pages.js").Extent} table */
function showRows({ total, indexed, complete }) {
  extent = { total, indexed, complete };
  draw();
  if (toRow !== null) grid.scrollTo(toRow);
  toRow = null;
  scrolled();
  if (!reading.answers(place, paths())) return; // rows of an older question say nothing about the one that failed
  right();
  poller.every(!complete ? INDEXING_MS : batches.some(isOpen) ? RUNNING_MS : 0);
}

/** What found no answer is asked until it has one, whether its batches have ended or not.
 * @param {unknown} error */
function failed(error) {
  if (isRefused(error)) {
    reading.forget();
    extent = null;
  }
  poller.every(isRefused(error) ? 0 : RUNNING_MS);
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
  if (!extent) return;
  there.groups?.drawGroups(batches, columns());
  grid.draw({ place, columns: columns(), total: extent.total, row: reading.row });
}

/** Everything around the rows. */
function drawControls() {
  drawTools(place);
  drawState({ place, batches, extent, isLoading: place.batches.length > 0 && extent === null && !isWrong });
  setText(byId("columns-count"), `${columns().length} of ${offered.length}`);
  there.groups?.drawHaving(place);
  there.chooser?.update(offered, shownIds(), place.batches.length);
  there.words?.drawChips(place, (changed) => go({ ...place, ...changed }));
  there.choice?.update(place.batches, batches).catch(say);
  if (!there.words && isNarrowed(place)) void words().then(drawControls, say);
  if (!there.choice && isJoined(place)) void choice().then(drawControls, say);
  for (const format of /** @type {const} */ (["csv", "jsonl"])) {
    if (extent)
      bindDownload(
        byId(format),
        exportPath(place, paths(), format),
        `${place.batches.join("_")}_answers.${format}`,
        say,
      );
  }
}

function scrolled() {
  if (!extent) return;
  const { seen, drawn } = grid.view();
  reading.want(drawn);
  setText(
    byId("range"),
    `Rows ${integer(seen.first + 1)} – ${integer(seen.end)} of ${integer(extent.total)}`,
  );
  clearTimeout(resting);
  resting = setTimeout(rememberRow, RESTING_MS);
}

/** So that a copied address and the way back lead to the same rows. */
function rememberRow() {
  clearTimeout(resting);
  const row = extent && toRow === null && reading.shows(place) ? grid.view().seen.first : place.row;
  if (row === place.row) return;
  place.row = row;
  setUrl(tableAddress(place), "replace");
}

/** Other batches, or the first.
 * @param {string[]} ids */
async function choose(ids) {
  const { withBatches } = await several();
  place = withBatches(place, ids);
  setUrl(tableAddress(place));
  start();
}

function start() {
  reading.forget();
  right();
  [batches, usual, offered] = [[], [], columnsOf([])];
  extent = toRow = null;
  drawControls();
  poller.every(RUNNING_MS);
  void poller.now();
}

/** Batches to choose from, for whoever came without one. */
async function offer() {
  const [{ list }, { drawChoices }] = await Promise.all([choice(), words()]);
  drawControls();
  drawChoices(await list());
  if (place.batches.length === 0) poller.every(0);
}

function arrive() {
  const before = String(place.batches);
  place = tablePlaceOf(location.search);
  if (String(place.batches) !== before) return start();
  if (!reading.answers(place, paths())) return void ask().catch(failed);
  draw();
  grid.scrollTo(place.row);
}

bindTools({ place: () => place, go });
byId("jump").addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  void jumping()
    .then(({ jump }) => jump({ place: () => place, total: extent?.total ?? 0, go: grid.scrollTo }))
    .catch(say);
});
byId("chooser").addEventListener("beforetoggle", (/** @type {ToggleEvent} */ event) => {
  if (event.newState !== "open" || there.chooser?.isOpening()) return;
  event.preventDefault();
  void chooser().then((made) => {
    drawControls();
    made.open();
  }, say);
});
byId("add-batch").addEventListener(
  "click",
  () =>
    void choice().then((made) => {
      drawControls();
      made.add();
    }, say),
);
for (const reaching of ["pointerenter", "focusin"])
  byId("pickers").addEventListener(reaching, () => there.choice || void choice().then(drawControls, say), {
    capture: true,
  });
addEventListener("popstate", arrive);
start();
