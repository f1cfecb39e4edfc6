// Two to four batches side by side, joined by custom_id. The server joins and counts; the address says what is shown.

import { callJson, isRefused, onDemand } from "../shared/api.js";
import { displayName, isOpen } from "../shared/batches.js";
import { byId, setText, show } from "../shared/dom.js";
import { integer } from "../shared/format.js";
import { createPoller } from "../shared/live.js";
import {
  createNotice,
  createTabs,
  createTroubleNotice,
  messageOf,
  setUrl,
  startPage,
} from "../shared/page.js";
import { drawField, drawFigures } from "./figures.js";
import { createRows } from "./rows.js";
import { createSides, drawSetup, question, readPlace, settings, writePlace } from "./sides.js";

startPage();

/** @typedef {import("../shared/wire.js").Comparison} Comparison */
/** @typedef {import("../shared/wire.js").ComparedRows} ComparedRows */
/** @typedef {import("./sides.js").Place} Place */

const PAGE_SIZES = [20, 20, 20, 14, 10]; // of so many batches: a page's nodes stay below 1,500
const INDEXING_MS = 500;
const GROWING_MS = 5000;
const BINS = 60; // the most the server makes; few whole steps among them become bars of their own
const TABS = [
  { id: "flipped", word: "Field differs" },
  { id: "different", word: "Different" },
  { id: "same", word: "Same" },
  { id: "unmatched", word: "Only in some" },
  { id: "all", word: "All" },
];

const notice = createTroubleNotice(() => void poller.now());
const aside = createNotice({ closable: true });
const progress = createNotice();
const tabs = createTabs(byId("tabs"), TABS, {
  panel: "panel",
  choose: (only) => go({ only: /** @type {Place["only"]} */ (only) }),
});
const rows = createRows(byId("table"), {
  toggle: (id) => go({ offset: place.offset, open: place.open === id ? "" : id }, "replace"),
});
const sides = createSides({ choose: (ids) => go({ batches: ids }) });
const poller = createPoller({ work: load, onDone: done, onFail: failed });
const fetchCopy = onDemand(() => import("../shared/copy_button.js"));
let place = readPlace(location.search);
/** @type {Comparison | null} */
let overview = null;
/** @type {ComparedRows | null} */
let found = null;
/** The overview whose figures are on the page. @type {Comparison | null} */
let shown = null;
/** The batches that were tried last, whether they came or not; the question that the rows answer; and the one that the
 * shown rows answered. */
let [tried, loadedRows, shownRows] = ["", "", ""];
/** Whether the overview holds all answers that there will ever be. */
let isWhole = false;
let isWrong = false; // whether the latest reading failed

function pageSize() {
  return PAGE_SIZES[place.batches.length];
}

/** @param {Partial<Place>} to @param {"push" | "replace"} [how] */
function go(to, how = "push") {
  setUrl(writePlace({ ...place, offset: 0, open: "", ...to }), how);
  return arrive();
}

function arrive() {
  place = readPlace(location.search);
  sides.draw(place.batches);
  if (shownRows === rowsQuestion()) rows.open(view());
  return poller.now();
}

/** @param {number} next as `load` says */
function done(next) {
  right();
  drawStates();
  poller.every(next);
}

/** What found no answer is asked until it has one, whether its batches have ended or not.
 * @param {unknown} error */
function failed(error) {
  isWrong = true;
  notice.say("bad", messageOf(error));
  byId("content").classList.toggle("stale", overview !== null);
  drawStates();
  poller.every(isRefused(error) ? 0 : GROWING_MS);
}

function right() {
  isWrong = false;
  notice.hide();
  byId("content").classList.remove("stale");
}

function forget() {
  overview = shown = found = null;
  loadedRows = shownRows = "";
  isWhole = false;
  progress.hide();
}

/** @param {AbortSignal} signal @returns {Promise<number>} in how many milliseconds to read again, 0: never */
async function load(signal) {
  const batches = place.batches.join(" ");
  if (tried !== batches) {
    tried = batches;
    forget();
    right();
    drawStates();
  }
  await sides.readList(signal);
  if (place.batches.length < 2) return 0;
  if (!isWhole) {
    const isFirst = overview === null;
    const asked = question(place.batches, { field: place.field, likely: true, setup: isFirst, bins: BINS });
    const haveEnded = sides.haveEnded(); // one that ends while this is read may be counted without its last answers
    [overview] = await Promise.all([callJson(`/v1/compare?${asked}`, { signal }), sides.read(signal)]);
    [loadedRows, isWhole] = ["", haveEnded && overview?.complete === true];
    if (isFirst)
      drawSetup(
        byId("setup"),
        settings(
          sides.compared(),
          (overview?.first_requests ?? []).map((line) => line?.body ?? null),
        ),
      );
  }
  drawProgress();
  await Promise.all([loadRows(signal), loadFigures(signal)]);
  return isWhole ? 0 : overview?.complete ? GROWING_MS : INDEXING_MS;
}

/** The field that is looked at: the address's when all batches have it. */
function field() {
  const fields = overview?.fields ?? [];
  return (
    fields.find(({ path }) => path === place.field) ??
    fields.find(({ path }) => path === overview?.likely_field)
  );
}

function rowsQuestion() {
  const path = field()?.path ?? "";
  const only = place.only === "flipped" && !path ? "different" : place.only;
  const sort = field()?.is_number ? place.sort : "line";
  return question(place.batches, { field: path, only, sort, offset: place.offset, limit: pageSize() });
}

/** @param {AbortSignal} signal */
async function loadRows(signal) {
  const asked = rowsQuestion();
  if (loadedRows === asked) return;
  /** @type {ComparedRows} */
  const fresh = await callJson(`/v1/compare/rows?${asked}`, { signal });
  const isSame = shownRows === asked && JSON.stringify(fresh) === JSON.stringify(found);
  [found, loadedRows, shownRows] = [fresh, asked, asked];
  if (!isSame) rows.show(fresh.data, view());
  drawRows();
}

function view() {
  return { batches: place.batches, names: sides.names(), field: field(), open: place.open };
}

/** @param {AbortSignal} signal */
async function loadFigures(signal) {
  const chosen = field();
  if (overview === null) return;
  drawField(overview.fields, chosen, place.sort);
  if (overview.field !== (chosen?.path ?? null)) {
    const field = chosen?.path ?? null;
    const { changes } = field
      ? await callJson(`/v1/compare/changes?${question(place.batches, { field, bins: BINS })}`, { signal })
      : { changes: [] };
    overview = { ...overview, field, changes };
  }
  if (shown === overview) return;
  const isSame = JSON.stringify(shown) === JSON.stringify(overview);
  shown = overview;
  if (!isSame) drawFigures(overview, chosen, sides.names());
  drawCounts(overview);
  drawStates();
}

/** @param {Comparison} of */
function drawCounts({ sides: others, changes: [change], indexed }) {
  const [side] = others;
  /** @type {Record<string, number>} */
  const counts =
    others.length > 1
      ? {}
      : {
          different: side.different,
          same: side.same,
          unmatched: side.only_baseline + side.only_other,
          ...(change ? { flipped: change.both - change.equal } : {}),
        };
  tabs.count({ ...counts, all: indexed, ...(found ? { [place.only]: found.total } : {}) });
}

function drawRows() {
  if (!found) return;
  const { total, data } = found;
  tabs.select(place.only === "flipped" && !field() ? "different" : place.only);
  show(byId("none"), data.length === 0);
  show(byId("table-scroll"), data.length > 0);
  show(byId("pager"), total > pageSize() || place.offset > 0);
  setText(
    byId("range"),
    data.length > 0
      ? `${integer(place.offset + 1)} – ${integer(place.offset + data.length)} of ${integer(total)}`
      : `none of ${integer(total)}`,
  );
  byId("previous").disabled = place.offset === 0;
  byId("next").disabled = place.offset + data.length >= total;
  byId("jump").max = String(Math.max(1, total));
  setText(byId("none-title"), overview?.indexed ? NOTHING[place.only] : "No answers yet");
  drawStates();
}

/** @type {Record<Place["only"], string>} */
const NOTHING = {
  flipped: "The field is the same in all of them",
  different: "No answer differs",
  same: "No answer is the same",
  unmatched: "Every request is in all of the batches",
  all: "No answers yet",
};

/** Which of the page's parts are there at all. */
function drawStates() {
  const asked = place.batches.length >= 2;
  const isLoading = asked && overview === null && !isWrong;
  show(byId("setup"), overview !== null);
  show(byId("overview"), shown !== null);
  show(byId("pairs"), found !== null);
  show(byId("skeletons"), isLoading);
  show(byId("empty"), overview === null && !isLoading);
  setText(
    byId("empty-title"),
    asked ? "Nothing to compare" : place.batches.length === 1 ? "Choose another batch" : "Choose two batches",
  );
}

function drawProgress() {
  const open = sides.compared().filter(isOpen).map(displayName);
  if (place.field && field()?.path !== place.field)
    progress.say("warn", `These batches do not all have the field “${place.field}”.`);
  else if (overview && !overview.complete)
    progress.say(
      "",
      `Indexing the answers: ${integer(overview.indexed)} so far. The figures grow until all are in.`,
    );
  else if (open.length > 0)
    progress.say("", `Still running: ${open.join(", ")}. Compared is what has been answered so far.`);
  else progress.hide();
}

/** @param {number} offset */
async function turn(offset) {
  if (offset >= (found?.total ?? 0)) return; // pressed once more before the last page was there
  await go({ offset: Math.max(0, offset) });
  byId("panel").focus({ preventScroll: true });
  byId("pairs").scrollIntoView({ block: "start" });
}

/** The button that copies comes with its first use, and is pressed at once. */
async function copyFirst() {
  try {
    const { createCopyButton } = await fetchCopy();
    const button = createCopyButton("Copy link", () => location.href, { word: "Copy link", look: "link" });
    byId("copy").replaceWith(button);
    button.focus();
    button.click();
  } catch (error) {
    aside.say("bad", messageOf(error));
  }
}

byId("previous").addEventListener("click", () => turn(place.offset - pageSize()));
byId("next").addEventListener("click", () => turn(place.offset + pageSize()));
byId("jump-form").addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  const row = Math.min(Number(byId("jump").value), found?.total ?? 1);
  if (row >= 1) void turn(Math.floor((row - 1) / pageSize()) * pageSize());
});
byId("field").addEventListener("change", () => go({ field: byId("field").value, sort: "line" }));
byId("sort").addEventListener("change", () => go({ sort: byId("sort").value }));
byId("swap").addEventListener("click", () =>
  go({ batches: [place.batches[1], place.batches[0], ...place.batches.slice(2)] }),
);
byId("add").addEventListener("click", () => sides.add());
byId("copy").addEventListener("click", copyFirst);
addEventListener("popstate", () => void arrive());
poller.every(0);
await arrive();
