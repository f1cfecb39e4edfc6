// Two to four batches side by side, joined by custom_id. The server joins and counts; the address says what is shown.

import { callJson } from "./api.js";
import { batchesWithAnswers } from "./batch_picker.js";
import { displayName, isOpen } from "./batches.js";
import { cards, figure, summaryTable } from "./compare_figures.js";
import { createPickers } from "./compare_pickers.js";
import { likelyField, question, readPlace, writePlace } from "./compare_place.js";
import { createRows } from "./compare_rows.js";
import { drawSetup, readSetup, settings } from "./compare_setup.js";
import { createCopyButton } from "./copy_button.js";
import { byId, el, icon, setText, show } from "./dom.js";
import { integer } from "./format.js";
import { createNotice, createTabs, messageOf, visit } from "./page.js";

/** @typedef {import("./wire.js").Comparison} Comparison */
/** @typedef {import("./wire.js").ComparedRows} ComparedRows */
/** @typedef {import("./compare_place.js").Place} Place */

const PAGE_SIZES = [20, 20, 20, 14, 10]; // of so many batches: a page's nodes stay below 1,500
const AGAIN_MS = 500;
const BINS = 60; // the most the server makes; few whole steps among them become bars of their own
const TABS = [
  { id: "flipped", word: "Field differs" },
  { id: "different", word: "Different" },
  { id: "same", word: "Same" },
  { id: "unmatched", word: "Only in some" },
  { id: "all", word: "All" },
];

const again = el("button", { type: "button" }, icon("retry"), "Try again");
const notice = createNotice({ buttons: [again] });
const listNotice = createNotice();
const progress = createNotice();
const tabs = createTabs(byId("tabs"), TABS, { panel: "panel", choose: (only) => go({ only: /** @type {Place["only"]} */ (only) }) });
const rows = createRows(byId("table"), { toggle: (id) => go({ offset: place.offset, open: place.open === id ? "" : id }, "replace") });
const pickers = createPickers({ choose: (ids) => go({ batches: ids }) });
let place = readPlace(location.search);
let loading = new AbortController();
/** @type {import("./wire.js").Batch[]} */
let batches = [];
/** @type {Comparison | null} */
let overview = null;
/** @type {ComparedRows | null} */
let found = null;
/** The overview whose figures are on the page. @type {Comparison | null} */
let shown = null;
/** The batches of the overview, the question that the rows answer, and the one that the shown rows answered. */
let [loaded, loadedRows, shownRows] = ["", "", ""];
let isReading = false;

function pageSize() {
  return PAGE_SIZES[place.batches.length];
}

/** @param {Partial<Place>} to @param {"push" | "replace"} [how] */
function go(to, how = "push") {
  visit(writePlace({ ...place, offset: 0, open: "", ...to }), how);
  return arrive();
}

async function arrive() {
  place = readPlace(location.search);
  pickers.draw(batches, place.batches);
  loading.abort();
  loading = new AbortController();
  const { signal } = loading;
  notice.hide();
  byId("content").classList.remove("stale");
  isReading = place.batches.length >= 2;
  try {
    if (isReading) await load(signal);
    else forget();
  } catch (error) {
    if (signal.aborted) return;
    if (loaded !== place.batches.join(" ")) forget();
    notice.say("bad", messageOf(error));
    byId("content").classList.toggle("stale", overview !== null);
  }
  if (signal.aborted) return;
  isReading = false;
  drawStates();
}

function forget() {
  overview = shown = found = null;
  loaded = loadedRows = shownRows = "";
  progress.hide();
}

/** @param {AbortSignal} signal */
async function load(signal) {
  const key = place.batches.join(" ");
  const isOther = loaded !== key;
  if (isOther) {
    forget();
    drawStates();
  }
  if (isOther || overview?.complete === false) {
    [overview] = await Promise.all([ask(place.batches, {}, signal), isOther ? loadSetup(signal) : null]);
    [loaded, loadedRows] = [key, ""];
  }
  drawProgress();
  await Promise.all([loadRows(signal), loadFigures(signal)]);
  if (overview?.complete === false) setTimeout(() => void (signal.aborted || arrive()), AGAIN_MS);
}

/** @param {string[]} ids @param {Record<string, string | number>} more @param {AbortSignal} signal @returns {Promise<Comparison>} */
function ask(ids, more, signal) {
  return callJson(`/v1/compare?${question(ids, more)}`, { signal });
}

/** The field that is looked at: the address's when all batches have it. */
function field() {
  const fields = overview?.fields ?? [];
  return fields.find(({ path }) => path === place.field) ?? fields.find(({ path }) => path === likelyField(fields));
}

/** @param {AbortSignal} signal */
async function loadSetup(signal) {
  const { batches: read, first } = await readSetup(place.batches, signal);
  for (const batch of read) if (!batches.some(({ id }) => id === batch.id)) batches.push(batch);
  pickers.draw(batches, place.batches);
  drawSetup(byId("setup"), settings(read, first));
}

/** @param {AbortSignal} signal */
async function loadRows(signal) {
  const path = field()?.path ?? "";
  const only = place.only === "flipped" && !path ? "different" : place.only;
  const sort = field()?.is_number ? place.sort : "line";
  const asked = question(place.batches, { field: path, only, sort, offset: place.offset, limit: pageSize() });
  if (loadedRows !== asked) {
    /** @type {ComparedRows} */
    const fresh = await callJson(`/v1/compare/rows?${asked}`, { signal });
    const isSame = shownRows === asked && JSON.stringify(fresh) === JSON.stringify(found);
    [found, loadedRows, shownRows] = [fresh, asked, asked];
    if (isSame) rows.open(view());
    else rows.show(fresh.data, view());
    drawRows();
  } else rows.open(view());
}

function view() {
  return { batches: place.batches, names: names(), field: field(), open: place.open };
}

function names() {
  return place.batches.map((id) => {
    const batch = batches.find((one) => one.id === id);
    return batch ? displayName(batch) : id;
  });
}

/** @param {AbortSignal} signal */
async function loadFigures(signal) {
  const path = field()?.path ?? "";
  drawField();
  if (overview === null || (shown === overview && overview.field === (path || null))) return;
  if (path) {
    const asked = await ask(place.batches, { field: path, bins: BINS }, signal);
    overview = { ...asked, complete: asked.complete && overview.complete };
  }
  shown = overview;
  drawFigures();
}

function drawField() {
  const fields = overview?.fields ?? [];
  const signature = JSON.stringify(fields.map(({ path }) => path));
  const select = byId("field");
  if (select.dataset.fields !== signature) {
    select.replaceChildren(...fields.map(({ path, is_number: isNumber }) => el("option", { value: path }, `${path}${isNumber ? "  (number)" : ""}`)));
    select.dataset.fields = signature;
  }
  const chosen = field();
  select.value = chosen?.path ?? "";
  const short = chosen && (chosen.path.length > 22 ? `${chosen.path.slice(0, 21)}…` : chosen.path);
  const tab = byId("tab-flipped");
  show(tab, chosen !== undefined);
  if (short && tab.firstChild) tab.firstChild.textContent = `${short} ${chosen.is_number ? "changed" : "flipped"}`;
  show(byId("sort-choice"), chosen?.is_number === true);
  byId("sort").value = place.sort;
  for (const [value, words] of [["-change", "largest rise of"], ["change", "largest fall of"]]) setText(byId("sort").querySelector(`[value="${value}"]`), `${words} ${short}`);
  if (place.field && overview && chosen?.path !== place.field) progress.say("warn", `These batches do not all have the field “${place.field}”.`);
}

function drawFigures() {
  if (!overview) return;
  const chosen = field();
  const two = overview.sides.length === 1;
  byId("overview").className = `overview ${two ? "two" : "many"}${chosen ? "" : " plain"}`;
  byId("cards").className = two ? "vitals" : "card";
  byId("cards").replaceChildren(...(two ? cards(overview, chosen, overview.changes[0]) : [el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Summary of each batch" }, summaryTable(overview, chosen, names()))]));
  show(byId("field-card"), chosen !== undefined);
  if (chosen) byId("figures").replaceChildren(...overview.changes.map((change, index) => figure(change, chosen, index + 1, !two)));
  const [side] = overview.sides;
  const [change] = overview.changes;
  /** @type {Record<string, number>} */
  const counts = two ? { different: side.different, same: side.same, unmatched: side.only_baseline + side.only_other, ...(change ? { flipped: change.both - change.equal } : {}) } : {};
  tabs.count({ ...counts, all: overview.indexed, ...(found ? { [place.only]: found.total } : {}) });
  drawStates();
}

function drawRows() {
  if (!found) return;
  const { total, data } = found;
  tabs.select(place.only === "flipped" && !field() ? "different" : place.only);
  show(byId("none"), data.length === 0);
  show(byId("table-scroll"), data.length > 0);
  show(byId("pager"), total > pageSize() || place.offset > 0);
  setText(byId("range"), data.length > 0 ? `${integer(place.offset + 1)} – ${integer(place.offset + data.length)} of ${integer(total)}` : `none of ${integer(total)}`);
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
  const isLoading = isReading && overview === null;
  show(byId("setup"), overview !== null);
  show(byId("overview"), shown !== null);
  show(byId("pairs"), found !== null);
  show(byId("skeletons"), isLoading);
  show(byId("empty"), overview === null && !isLoading);
  setText(byId("empty-title"), asked ? "Nothing to compare" : place.batches.length === 1 ? "Choose another batch" : "Choose two batches");
}

function drawProgress() {
  const open = batches.filter((batch) => place.batches.includes(batch.id) && isOpen(batch)).map(displayName);
  if (overview && !overview.complete) progress.say("", `Indexing the answers: ${integer(overview.indexed)} so far. The figures grow until all are in.`);
  else if (open.length > 0) progress.say("", `Still running: ${open.join(", ")}. Compared is what has been answered so far.`);
  else progress.hide();
}

/** @param {number} offset */
async function turn(offset) {
  if (offset >= (found?.total ?? 0)) return; // pressed once more before the last page was there
  await go({ offset: Math.max(0, offset) });
  byId("panel").focus({ preventScroll: true });
  byId("pairs").scrollIntoView({ block: "start" });
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
byId("swap").addEventListener("click", () => go({ batches: [place.batches[1], place.batches[0], ...place.batches.slice(2)] }));
byId("add").addEventListener("click", () => pickers.add(batches));
byId("copy").replaceWith(createCopyButton("Copy link", () => location.href, { word: "Copy link", look: "link" }));
again.addEventListener("click", () => void arrive());
addEventListener("popstate", () => void arrive());
try {
  batches = await batchesWithAnswers();
  show(byId("empty-action"), batches.length < 2);
} catch (error) {
  listNotice.say("bad", messageOf(error));
}
await arrive();
