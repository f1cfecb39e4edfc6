// Charts of the last hours, drawn by a library that is fetched only then; beside each stands the table of its numbers.

import { callJson } from "../shared/api.js";
import { el, setText, show } from "../shared/dom.js";
import { messageOf, remember, remembered } from "../shared/page.js";
import { buckets } from "../shared/status_cards.js";
import { CHARTS, hasGpu, joined } from "./chart_data.js";
import { createChartView } from "./chart_view.js";

/** @typedef {import("../shared/wire.js").Sample} Sample */

const LIBRARY = "../../vendor/uplot@1.6.32/dist/";
const HOURS = [1, 6, 24];
const PIECES = 240;
/** A drawing gets a new point every 15 s, 90 s or 6 min; no need to look more often. @type {Record<number, number>} */
const EVERY_MS = { 1: 10_000, 6: 45_000, 24: 180_000 };
const OVERLAP_SECONDS = 60;
const STORED = "batch-chart-hours";

/** @param {HTMLElement} place empty */
export function createCharts(place) {
  let hours = HOURS.find((one) => String(one) === remembered(STORED)) ?? 1;
  /** @type {Sample[]} */
  let samples = [];
  let readAt = -Infinity;
  /** @type {import("../shared/wire.js").Health} */
  let health;
  let turn = 0;
  const library = loadLibrary();
  const said = el("p", { class: "small muted", role: "status", hidden: true });
  const noGpu = el(
    "p",
    { class: "small muted", hidden: true },
    "GPU: not present. Its charts (utilisation, memory, temperature) appear where an NVIDIA driver answers.",
  );
  const grid = el("div", { class: "chart-grid" });
  const views = CHARTS.map((chart) => ({ chart, view: createChartView(chart, library) }));
  grid.append(...views.map(({ view }) => view.node));
  const choice = createChoice(hours, (wanted) => {
    hours = wanted;
    remember(STORED, String(hours));
    samples = [];
    readAt = -Infinity;
    void refresh(health);
  });
  place.append(el("div", { class: "row" }, choice, said), grid, noGpu);
  let missing = "";
  void library.then((found) => {
    if (found === null)
      missing =
        "The charts need a library that is not installed here (make setup fetches it); the numbers are in the tables.";
    say("");
  });

  /** @param {string} problem */
  function say(problem) {
    setText(said, problem || missing);
    show(said, said.textContent !== "");
  }

  /** What is missing since the last sample, by the API's clock: the page's stands still while its machine sleeps.
   * @returns {Promise<boolean>} false when another reading has overtaken this one */
  async function read() {
    const missing = Math.max(0, health.time - (samples.at(-1)?.at ?? -Infinity));
    const seconds = Math.min(hours * 3600, missing + OVERLAP_SECONDS);
    turn += 1;
    const mine = turn;
    readAt = performance.now();
    /** @type {{ data: Sample[] }} */
    const found = await callJson(`/v1/samples?hours=${(seconds / 3600).toFixed(4)}`).catch((error) => {
      if (mine === turn) throw error;
      return { data: [] };
    });
    if (mine !== turn) return false;
    samples = joined(samples, found.data, health.time - hours * 3600);
    return true;
  }

  function draw() {
    const gpu = health.gpu.available || hasGpu(samples);
    const window = { to: Math.max(health.time, samples.at(-1)?.at ?? 0), seconds: hours * 3600 };
    for (const { chart, view } of views) {
      show(view.node, gpu || !chart.gpu);
      if (!gpu && chart.gpu) continue;
      const most = chart.id === "memory" ? (health.gpu.memory_total_bytes ?? undefined) : chart.most;
      view.update({
        fine: buckets(samples, chart.field, { ...window, pieces: PIECES }),
        coarse: buckets(samples, chart.field, { ...window, pieces: 12 }),
        most,
      });
    }
    show(noGpu, !gpu);
  }

  /** Reads what is new and draws it, but not with every poll.
   * @param {import("../shared/wire.js").Health} now */
  async function refresh(now) {
    health = now;
    if (performance.now() - readAt < EVERY_MS[hours]) return;
    try {
      if (!(await read())) return;
      say("");
      draw();
    } catch (error) {
      readAt = -Infinity;
      samples = [];
      say(messageOf(error));
    }
  }
  return { refresh };
}

/** @param {number} chosen @param {(hours: number) => void} choose */
function createChoice(chosen, choose) {
  const buttons = HOURS.map((hours) =>
    el("button", { type: "button", "aria-pressed": String(hours === chosen) }, `${hours} h`),
  );
  for (const [index, button] of buttons.entries()) {
    button.addEventListener("click", () => {
      for (const one of buttons) one.setAttribute("aria-pressed", String(one === button));
      choose(HOURS[index]);
    });
  }
  return el("div", { class: "segments", role: "group", "aria-label": "Time span of the charts" }, ...buttons);
}

/** @returns {Promise<any>} uPlot, or null where set-up could not fetch it */
async function loadLibrary() {
  const style = el("link", {
    rel: "stylesheet",
    href: new URL(`${LIBRARY}uPlot.min.css`, import.meta.url).href,
  });
  try {
    const loaded = new Promise((resolve, reject) => {
      style.addEventListener("load", resolve);
      style.addEventListener("error", reject);
    });
    document.head.append(style);
    const [library] = await Promise.all([
      import(new URL(`${LIBRARY}uPlot.esm.js`, import.meta.url).href),
      loaded,
    ]);
    return library.default;
  } catch {
    style.remove();
    return null;
  }
}
