// One chart with its newest value, what is under the pointer, and its table.

import { el, reconcile, setAttribute, setText } from "../shared/dom.js";
import { summary } from "./chart_data.js";

/** @typedef {import("./chart_data.js").Bucket} Bucket */
/** @typedef {{ fine: Bucket[], coarse: Bucket[], most?: number }} Drawing `most`: where the scale ends, if anywhere */

const HEIGHT = 150;
const FONT = "11px system-ui, sans-serif";
const GIB = 2 ** 30;
const STEPS_OF_BYTES = [1, 2, 4, 8, 16, 32, 64, 128].map((count) => count * GIB);
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

/** @param {import("./chart_data.js").Chart} chart @param {Promise<any>} library uPlot, or null */
export function createChartView(chart, library) {
  const value = el("b");
  const at = el("span", { class: "muted small" });
  const plot = el("div", { class: "plot", role: "img", "aria-label": `${chart.title}: reading…` });
  const body = el("tbody");
  const head = el(
    "tr",
    {},
    ...["From", "Average", "Lowest", "Highest"].map((word, index) =>
      el("th", { scope: "col", class: index ? "num" : null }, word),
    ),
  );
  const table = el(
    "table",
    { class: "dense", "aria-label": `${chart.title}, as a table` },
    el("thead", {}, head),
    body,
  );
  const numbers = el(
    "details",
    { class: "numbers" },
    el(
      "summary",
      { class: "small" },
      "Table",
      el("span", { class: "visually-hidden" }, ` of ${chart.title}`),
    ),
    table,
  );
  const node = el(
    "figure",
    { class: "chart" },
    el("figcaption", {}, el("h3", {}, chart.title), el("span", { class: "now" }, value, " ", at)),
    plot,
    numbers,
  );
  /** @type {Drawing | undefined} */
  let drawing;
  /** @type {any} */
  let drawn;

  /** @param {number | null | undefined} index under the pointer */
  function say(index) {
    const fine = drawing?.fine ?? [];
    const last = fine.findLast(({ mean }) => mean !== null);
    const under = index == null ? undefined : fine[index];
    setText(value, chart.said((under ?? last)?.mean ?? null));
    setText(at, under ? `at ${CLOCK.format(under.from * 1000)}` : chart.unit);
  }

  function drawTable() {
    if (numbers.open && drawing)
      reconcile(
        body,
        [...drawing.coarse].reverse(),
        ({ from }) => String(from),
        () => createRow(chart),
      );
  }
  numbers.addEventListener("toggle", drawTable);
  void library.then((uPlot) => {
    if (uPlot) drawn = createPlot(uPlot, plot, chart, { most: () => drawing?.most, pointed: say });
    else plot.remove();
    if (!uPlot) numbers.open = true;
    if (drawing) drawn?.update(drawing.fine);
  });

  return {
    node,
    /** @param {Drawing} next */
    update(next) {
      drawing = next;
      setAttribute(plot, "aria-label", summary(chart, next.fine));
      say(null);
      drawTable();
      drawn?.update(next.fine);
    },
  };
}

/** @param {import("./chart_data.js").Chart} chart @returns {import("../shared/dom.js").View} */
function createRow({ said }) {
  const cells = [el("th", { scope: "row" }), ...[1, 2, 3].map(() => el("td", { class: "num" }))];
  return {
    node: el("tr", {}, ...cells),
    /** @param {Bucket} bucket */
    update({ from, mean, low, high }) {
      [CLOCK.format(from * 1000), said(mean), said(low), said(high)].forEach((text, index) => {
        setText(cells[index], text);
      });
    },
  };
}

/** @param {any} uPlot @param {HTMLElement} place @param {import("./chart_data.js").Chart} chart
 * @param {{ most: () => number | undefined, pointed: (index: number | null | undefined) => void }} options */
function createPlot(uPlot, place, chart, { most, pointed }) {
  /** Resolved anew with every drawing, so that the theme and greying reach the canvas.
   * @param {string} name of a colour that shared.css registers */
  const colour = (name) => () => getComputedStyle(place).getPropertyValue(name);
  const axis = {
    stroke: colour("--chart-text"),
    font: FONT,
    ticks: { show: false },
    grid: { stroke: colour("--chart-grid"), width: 1 },
  };
  /** @type {any} */
  let plot;

  function create(/** @type {number} */ width) {
    return new uPlot(
      {
        width,
        height: HEIGHT,
        padding: [8, 18, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, sync: { key: "dashboard" }, points: { size: 7 } },
        scales: {
          x: { time: true },
          y: {
            range: (/** @type {any} */ _, /** @type {any} */ __, /** @type {number | null} */ high) => [
              0,
              most() ?? Math.max((high ?? 0) * 1.15, chart.id === "queued" ? 10 : 1),
            ],
          },
        },
        axes: [
          {
            ...axis,
            grid: { show: false },
            size: 26,
            space: 64,
            values: (/** @type {any} */ _, /** @type {number[]} */ at) =>
              at.map((one) => CLOCK.format(one * 1000)),
          },
          {
            ...axis,
            size: 58,
            space: 26,
            ...(chart.id === "memory" ? { incrs: STEPS_OF_BYTES } : {}),
            values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map((one) => chart.said(one)),
          },
        ],
        series: [
          {},
          {
            stroke: colour("--chart-line"),
            fill: colour("--chart-fill"),
            width: 1.6,
            points: { show: true, size: 4, fill: colour("--chart-line"), filter: lonely },
          },
        ],
        hooks: {
          setCursor: [(/** @type {any} */ one) => pointed(one.cursor.left < 0 ? null : one.cursor.idx)],
        },
      },
      [[], []],
      place,
    );
  }

  const repaint = () => plot?.redraw(true, true);
  new ResizeObserver(
    ([{ contentRect }]) =>
      plot && contentRect.width > 0 && plot.setSize({ width: Math.floor(contentRect.width), height: HEIGHT }),
  ).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  const watch = new MutationObserver(repaint);
  watch.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  const content = place.closest("main");
  if (content) watch.observe(content, { attributeFilter: ["class"] });

  return {
    /** @param {Bucket[]} fine */
    update(fine) {
      plot ??= create(Math.max(200, Math.floor(place.clientWidth)));
      plot.setData([fine.map(({ from, to }) => (from + to) / 2), fine.map(({ mean }) => mean)], false);
      plot.setScale("x", { min: fine[0].from, max: fine[fine.length - 1].to });
    },
  };
}

/** Marks readings that stand alone: no line leads to them.
 * @param {any} plot @param {number} series @param {boolean} _ @param {unknown} __ @returns {number[]} */
function lonely(plot, series, _, __) {
  const values = plot.data[series];
  return [...values.keys()].filter(
    (index) => values[index] != null && values[index - 1] == null && values[index + 1] == null,
  );
}
