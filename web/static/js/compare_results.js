// Two batches side by side, joined by custom_id: how much they agree, and where they do not.

import { readAnswers } from "./answers.js";
import { batchesWithAnswers, fillPicker } from "./batch_picker.js";
import { displayName } from "./batches.js";
import { byId, el, setText, show } from "./dom.js";
import { integer, percent } from "./format.js";
import { FILTERS, joinAnswers, summarize } from "./join.js";
import { createNotice, messageOf } from "./notice.js";
import { createTabs } from "./tabs.js";
import { wordDiff } from "./word_diff.js";

/** @typedef {import("./join.js").Pair} Pair */

const MAX_ROWS = 20_000;
const PAGE_SIZE = 25;
const TABS = [
  { id: "different", word: "Different" },
  { id: "same", word: "Same" },
  { id: "unmatched", word: "Only in one" },
  { id: "all", word: "All" },
];

const notice = createNotice();
const tabs = createTabs(byId("tabs"), TABS, { panel: "panel", choose: (show) => go({ show }) });
let loading = new AbortController();
let loaded = "";
/** @type {Pair[]} */
let pairs = [];
/** @type {import("./wire.js").Batch[]} */
let batches = [];
let firstRow = 0;

function place() {
  const asked = new URLSearchParams(location.search);
  const shown = asked.get("show") ?? "different";
  return { a: asked.get("a") ?? "", b: asked.get("b") ?? "", show: shown in FILTERS ? shown : "different" };
}

/** @param {Partial<ReturnType<typeof place>>} to */
function go(to) {
  history.pushState(null, "", `?${new URLSearchParams({ ...place(), ...to })}`);
  void arrive();
}

async function arrive() {
  const { a, b } = place();
  byId("batch-a").value = a;
  byId("batch-b").value = b;
  firstRow = 0;
  if (loaded !== `${a} ${b}`) await load(a, b);
  draw();
}

/** @param {string} a @param {string} b */
async function load(a, b) {
  loading.abort();
  loading = new AbortController();
  const { signal } = loading;
  pairs = [];
  loaded = "";
  notice.hide();
  if (!a || !b) return;
  setText(byId("empty-title"), "Reading the answers …");
  try {
    const [first, second] = await Promise.all([a, b].map((id) => readAnswers(id, { maxRows: MAX_ROWS, signal })));
    pairs = joinAnswers(first.answers, second.answers);
    loaded = `${a} ${b}`;
    if (first.cut || second.cut) notice.say("warn", `Only the first ${integer(MAX_ROWS)} answers of each batch are compared.`);
  } catch (error) {
    if (!signal.aborted) notice.say("bad", messageOf(error));
  }
}

function draw() {
  const ready = loaded !== "";
  show(byId("summary"), ready);
  show(byId("pairs"), ready);
  show(byId("empty"), !ready);
  const { show: shown, a, b } = place();
  setText(byId("empty-title"), a && b ? "Nothing to compare" : "Choose two batches");
  if (!ready) return;
  drawSummary();
  tabs.select(shown);
  setText(byId("head-a"), `Baseline · ${nameOf(a)}`);
  setText(byId("head-b"), `Contender · ${nameOf(b)}`);
  const rows = pairs.filter(FILTERS[shown]);
  const page = rows.slice(firstRow, firstRow + PAGE_SIZE);
  byId("rows").replaceChildren(...page.map(row));
  show(byId("none"), rows.length === 0);
  show(byId("table"), rows.length > 0);
  show(byId("pager"), rows.length > PAGE_SIZE);
  setText(byId("range"), `${integer(firstRow + 1)} – ${integer(firstRow + page.length)} of ${integer(rows.length)}`);
  byId("previous").disabled = firstRow === 0;
  byId("next").disabled = firstRow + PAGE_SIZE >= rows.length;
}

/** @param {string} id */
function nameOf(id) {
  const batch = batches.find((one) => one.id === id);
  return batch ? displayName(batch) : id;
}

function drawSummary() {
  const sum = summarize(pairs);
  setText(byId("matched"), integer(sum.matched));
  setText(byId("matched-of"), `of ${integer(pairs.length)}`);
  setText(byId("only-a"), integer(sum.onlyA));
  setText(byId("only-b"), integer(sum.onlyB));
  setText(byId("same"), percent(sum.same, sum.matched));
  setText(byId("same-count"), integer(sum.same));
  setText(byId("different-count"), integer(sum.different));
  show(byId("score-card"), sum.scored > 0);
  setText(byId("score-a"), fixed(sum.meanA));
  setText(byId("score-b"), `→ ${fixed(sum.meanB)}`);
  setText(byId("score-change"), signed((sum.meanB ?? 0) - (sum.meanA ?? 0)));
  setText(byId("scored"), integer(sum.scored));
  setText(byId("tokens-a"), fixed(sum.tokensA, 0));
  setText(byId("tokens-b"), `→ ${fixed(sum.tokensB, 0)}`);
  setText(byId("tokens-change"), sum.tokensA ? `${signed(((sum.tokensB ?? 0) / sum.tokensA - 1) * 100, 0)} %` : "–");
  tabs.count({ different: sum.different, same: sum.same, unmatched: sum.onlyA + sum.onlyB, all: pairs.length });
}

/** @param {number | null} value @param {number} [digits] */
function fixed(value, digits = 1) {
  return value === null ? "–" : value.toFixed(digits);
}

/** @param {number} value @param {number} [digits] */
function signed(value, digits = 2) {
  const size = Math.abs(value).toFixed(digits);
  return Number(size) === 0 ? size : `${value > 0 ? "▲ +" : "▼ −"}${size}`;
}

/** @param {Pair} pair */
function row({ customId, a, b, same, scores }) {
  const pieces = a && b && !same ? wordDiff(a.text, b.text) : null;
  /** @param {"removed" | "added"} mine @param {string} tag */
  const marked = (mine, tag) => pieces?.filter(({ kind }) => kind === "same" || kind === mine).map(({ kind, text }) => (kind === mine ? el(tag, {}, text) : text));
  /** @param {import("./answers.js").ReadAnswer | null} answer @param {(Node | string)[] | undefined} content @param {number | null} score */
  const side = (answer, content, score) =>
    answer ? el("td", {}, score === null ? null : el("b", { class: "num" }, `score ${score}`), el("div", { class: "answer" }, ...(content ?? [answer.text]))) : el("td", { class: "muted" }, "no answer");
  return el("tr", {}, el("th", { scope: "row", class: "mono row-head" }, customId), side(a, marked("removed", "del"), scores[0]), side(b, marked("added", "ins"), scores[1]));
}

/** @param {number} rows */
function turn(rows) {
  firstRow = Math.max(0, firstRow + rows);
  draw();
  byId("panel").focus();
}

for (const side of /** @type {const} */ (["a", "b"])) byId(`batch-${side}`).addEventListener("change", () => go({ [side]: byId(`batch-${side}`).value }));
byId("swap").addEventListener("click", () => go({ a: place().b, b: place().a }));
byId("previous").addEventListener("click", () => turn(-PAGE_SIZE));
byId("next").addEventListener("click", () => turn(PAGE_SIZE));
addEventListener("popstate", () => void arrive());
try {
  batches = await batchesWithAnswers();
  for (const side of /** @type {const} */ (["a", "b"])) fillPicker(byId(`batch-${side}`), batches, place()[side] || null);
} catch (error) {
  notice.say("bad", messageOf(error));
}
await arrive();
