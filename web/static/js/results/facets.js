// What the answers of a batch are, counted: words with their counts, numbers as histograms. A click filters. Which rows
// a bar stands for is at the end, and pure.

import { callJson } from "../shared/api.js";
import { batchPath, requestState } from "../shared/batches.js";
import { el, reconcile, setAttribute, setText, show } from "../shared/dom.js";
import { compact, integer, percent, secondsText } from "../shared/format.js";
import { filterQuery, wantedValue, withConditions, withoutColumn, withValue } from "../shared/row_query.js";

/** @typedef {import("../shared/row_query.js").Place} Place */
/** @typedef {import("../shared/row_query.js").Condition} Condition */
/**
 * @typedef {{ key: string, label: string, count: number, conditions: Condition[], low: number, high: number
 * }} Bar `low` and `high`: the values it has, or could have
 */
/**
 * @typedef {{ present: number, distinct: number, mean: number | null, top: { value: any, count: number }[],
 * bins: import("../shared/wire.js").Bin[] }} Distribution
 */
/** @typedef {{ column: string, title: string, whole?: boolean, isNumber: boolean }} Facet */
/** What is asked for at this moment, and the way to ask for something else: counts come later than the question
 * they answer, so a click never starts from the place they were counted for.
 * @typedef {{ place: () => Place, go: (place: Place) => void }} Asking */

const SVG = "http://www.w3.org/2000/svg";
const BINS = 20;
/** @type {Facet[]} */
const FACETS = [
  { column: "status", title: "Status", isNumber: false },
  { column: "error_code", title: "Error code", isNumber: false },
  { column: "finish_reason", title: "Finish reason", isNumber: false },
  { column: "output_tokens", title: "Output tokens", whole: true, isNumber: true },
  { column: "seconds", title: "Latency", isNumber: true },
];

/** @param {HTMLElement} parent @param {string} batchId @param {Asking} asking */
export function createFacets(parent, batchId, asking) {
  const views = FACETS.map((facet) => ({
    facet,
    view: facet.isNumber ? createHistogram(facet) : createWords(facet),
  }));
  parent.replaceChildren(...views.map(({ view }) => view.node));
  return {
    /**
     * @param {Place} place
     * @param {AbortSignal} signal
     * @returns {Promise<boolean>} whether there is anything to show
     */
    async refresh(place, signal) {
      const found = await read(batchId, place, signal);
      for (const [index, { view }] of views.entries()) view.update(found[index], asking);
      return found.some(({ present }) => present > 0);
    },
  };
}

/** Each as it would be without the filter on itself, so that a facet shows what else there is.
 * @param {string} batchId @param {Place} place @param {AbortSignal} signal @returns {Promise<Distribution[]>} */
async function read(batchId, place, signal) {
  const asked = new URLSearchParams([
    ...filterQuery(place),
    ...FACETS.map(({ column }) => ["column", column]),
    ["bins", String(BINS)],
  ]);
  return (await callJson(`${batchPath(batchId)}/distributions?${asked}`, { signal })).data;
}

/** @param {Facet} facet */
function createWords({ column, title }) {
  const list = el("ul", { class: "values", "aria-label": title });
  const none = el("p", { class: "muted small" }, "none");
  const node = el("section", { class: "facet" }, el("h3", {}, title), list, none);
  return {
    node,
    /** @param {Distribution} found @param {Asking} asking */
    update(found, asking) {
      show(none, found.top.length === 0);
      const items = found.top.slice(0, 6).map((one) => ({ ...one, total: found.present, asking }));
      reconcile(
        list,
        items,
        (item) => String(item.value),
        () => createValue(column),
      );
    },
  };
}

/** @param {string} column @returns {import("../shared/dom.js").View} */
function createValue(column) {
  const word = el("span", { class: "word" });
  const count = el("span", { class: "count" });
  const bar = el("progress", { "aria-hidden": "true" });
  const button = el("button", { type: "button" }, word, count, bar);
  /** @type {{ value: any, count: number, total: number, asking: Asking }} */
  let now;
  button.addEventListener("click", () => {
    const place = now.asking.place();
    const isOn = wantedValue(place, column) === String(now.value);
    now.asking.go(withValue(place, column, isOn ? null : String(now.value)));
  });
  return {
    node: el("li", {}, button),
    /** @param {typeof now} item */
    update(item) {
      now = item;
      setText(word, column === "status" ? requestState(String(item.value)).word : String(item.value));
      setText(count, integer(item.count));
      setAttribute(bar, "max", String(Math.max(1, item.total)));
      setAttribute(bar, "value", String(item.count));
      setAttribute(bar, "class", column === "error_code" || item.value === "failed" ? "bad" : null);
      setAttribute(
        button,
        "aria-pressed",
        String(wantedValue(item.asking.place(), column) === String(item.value)),
      );
      setAttribute(button, "title", `${item.value}: ${percent(item.count, item.total)}`);
    },
  };
}

/** @param {Facet} facet */
function createHistogram({ column, title, whole = false }) {
  const mean = el("span", { class: "muted" });
  const bars = el("div", { class: "bars", role: "group", "aria-label": `${title}: a bar filters` });
  const low = el("span");
  const high = el("span");
  const none = el("p", { class: "muted small" }, "none");
  const axis = el("p", { class: "axis" }, low, high);
  bars.addEventListener("keydown", moveAmongBars);
  return {
    node: el("section", { class: "facet" }, el("h3", {}, title, " ", mean), bars, axis, none),
    /** @param {Distribution} found @param {Asking} asking */
    update(found, asking) {
      const drawn = barsOf(column, found.bins, whole);
      const highest = Math.max(1, ...drawn.map((bar) => bar.count));
      for (const part of [bars, axis]) show(part, drawn.length > 0);
      show(none, drawn.length === 0);
      setText(mean, found.mean === null ? "" : `mean ${edge(found.mean, whole)}`);
      setAttribute(mean, "title", middleOf(drawn) ? `median: ${middleOf(drawn)?.label}` : null);
      setText(low, drawn.length > 0 ? edge(drawn[0].low, whole) : "");
      setText(high, drawn.length > 0 ? edge(drawn[drawn.length - 1].high, whole) : "");
      reconcile(
        bars,
        drawn.map((bar) => ({ bar, highest, asking })),
        ({ bar }) => bar.key,
        () => createBar(column),
      );
      keepOneStop(bars);
    },
  };
}

/** @param {number} value @param {boolean} whole */
function edge(value, whole) {
  return whole ? compact(Math.round(value)) : secondsText(value);
}

/** @param {string} column @returns {import("../shared/dom.js").View} */
function createBar(column) {
  const shape = document.createElementNS(SVG, "rect");
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({
    viewBox: "0 0 10 100",
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  }))
    svg.setAttribute(name, value);
  for (const [name, value] of Object.entries({ x: "0", width: "10" })) shape.setAttribute(name, value);
  svg.append(shape);
  const button = el("button", { type: "button", tabindex: "-1" }, svg);
  /** @type {{ bar: Bar, highest: number, asking: Asking }} */
  let now;
  button.addEventListener("click", () => {
    const { bar, asking } = now;
    const place = asking.place();
    const isOn = isChosen(bar, place.where);
    asking.go(isOn ? withoutColumn(place, column) : withConditions(place, column, bar.conditions));
  });
  return {
    node: button,
    /** @param {typeof now} item */
    update(item) {
      now = item;
      const height = item.bar.count === 0 ? 0 : Math.max(3, (100 * item.bar.count) / item.highest);
      setAttribute(shape, "height", height.toFixed(1));
      setAttribute(shape, "y", (100 - height).toFixed(1));
      const label = `${item.bar.label}: ${integer(item.bar.count)}`;
      setAttribute(button, "aria-label", label);
      setAttribute(button, "title", label);
      setAttribute(button, "aria-pressed", String(isChosen(item.bar, item.asking.place().where)));
      button.classList.toggle("out", isOut(item, column));
    },
  };
}

/** Whether the column is filtered and this bar is not among what is shown.
 * @param {{ bar: Bar, asking: Asking }} item @param {string} column */
function isOut({ bar, asking }, column) {
  const { where } = asking.place();
  return where.some((one) => one.column === column) && !isChosen(bar, where);
}

/** A histogram is one stop for the Tab key; arrows move inside.
 * @param {HTMLElement} bars */
function keepOneStop(bars) {
  const all = /** @type {HTMLElement[]} */ ([...bars.children]);
  const stop =
    all.find((one) => one === document.activeElement) ??
    all.find((one) => one.ariaPressed === "true") ??
    all[0];
  for (const one of all) one.tabIndex = one === stop ? 0 : -1;
}

/** @param {KeyboardEvent} event */
function moveAmongBars(event) {
  const bars = /** @type {HTMLElement} */ (event.currentTarget);
  const all = /** @type {HTMLElement[]} */ ([...bars.children]);
  const here = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const next =
    { Home: 0, End: all.length - 1 }[event.key] ??
    (step === undefined ? undefined : Math.min(all.length - 1, Math.max(0, here + step)));
  if (next === undefined || here < 0) return;
  event.preventDefault();
  all[next].focus();
  keepOneStop(bars);
}

/**
 * @param {string} column
 * @param {import("../shared/wire.js").Bin[]} bins
 * @param {boolean} whole whether only whole numbers occur; else they are seconds
 * @returns {Bar[]} */
export function barsOf(column, bins, whole) {
  const drawn = bins.length === 1 ? [{ ...bins[0], end: bins[0].start }] : bins; // one bin is one value
  return drawn.flatMap((bin, index) => {
    const isLast = index === drawn.length - 1;
    const bar = whole ? wholeBar(column, bin, isLast) : secondsBar(column, bin, isLast);
    return bar ? [bar] : [];
  });
}

/** Between two whole numbers there is nothing, and so no bar.
 * @param {string} column @param {import("../shared/wire.js").Bin} bin @param {boolean} isLast @returns {Bar | null} */
function wholeBar(column, { start, end, count }, isLast) {
  const low = Math.ceil(start - 1e-9) + 0; // and not -0
  const high = isLast ? Math.floor(end + 1e-9) : Math.ceil(end - 1e-9) - 1;
  if (high < low) return null;
  const conditions = [condition(column, "ge", low), condition(column, "le", high)];
  return {
    key: `${low}`,
    label: low === high ? integer(low) : `${integer(low)} – ${integer(high)}`,
    count,
    conditions,
    low,
    high,
  };
}

/** @param {string} column @param {import("../shared/wire.js").Bin} bin @param {boolean} isLast @returns {Bar} */
function secondsBar(column, { start, end, count }, isLast) {
  const conditions = [condition(column, "ge", start), condition(column, isLast ? "le" : "lt", end)];
  return {
    key: `${start}`,
    label: start === end ? secondsText(start) : `${secondsText(start)} – ${secondsText(end)}`,
    count,
    conditions,
    low: start,
    high: end,
  };
}

/** @param {string} column @param {string} operator @param {number} value @returns {Condition} */
function condition(column, operator, value) {
  return { column, operator, value: String(value) };
}

/** Whether a bar lies within what the filter lets pass.
 * @param {Bar} bar @param {Condition[]} where */
export function isChosen(bar, where) {
  const own = where.filter(({ column }) => column === bar.conditions[0].column);
  return own.length > 0 && own.every((one) => reaches(bar, one));
}

/** @param {Bar} bar @param {Condition} condition */
function reaches({ low, high }, { operator, value }) {
  const bound = Number(value);
  if (operator === "ge" || operator === "gt") return low >= bound;
  if (operator === "le" || operator === "lt") return high <= bound;
  return operator === "eq" && low <= bound && bound <= high;
}

/** The number in the middle of the counted ones, roughly; null without any.
 * @param {Bar[]} bars @returns {Bar | null} the bar that has it */
export function middleOf(bars) {
  const half = bars.reduce((sum, { count }) => sum + count, 0) / 2;
  let seen = 0;
  for (const bar of bars) {
    seen += bar.count;
    if (seen > 0 && seen >= half) return bar;
  }
  return null;
}
