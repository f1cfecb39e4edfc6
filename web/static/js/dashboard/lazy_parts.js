// What the dashboard has besides its numbers: keys, and what is fetched only when it is used: actions with their
// questions, the menu, selection, charts, the help of the keys (`/` filters, `j` and `k` move, Enter opens,
// `?` explains).

import { onDemand } from "../shared/api.js";
import { createSelection } from "../shared/batch_rows.js";
import { byId } from "../shared/dom.js";
import { createLateActions, isForPage, remember, remembered } from "../shared/page.js";

/** @typedef {import("../shared/wire.js").Batch} Batch */
/** @typedef {import("../shared/wire.js").Health} Health */

const CHARTS_STORED = "batch-charts";

/**
 * @param {{ changed: () => void, redraw: () => void }} page `changed`: the API has news; `redraw`: only what
 * is shown
 */
export function createExtras({ changed, redraw }) {
  const actions = createLateActions({ changed });
  const selection = createSelection(() => {
    redraw();
    drawBulk();
  });
  const fetchBulk = onDemand(() =>
    import("./bulk.js").then((module) => module.createBulkBar(byId("bulk"), selection, { changed })),
  );
  let wasSelected = false;
  function drawBulk() {
    wasSelected ||= selection.batches().length > 0;
    if (wasSelected) fetchBulk().then((bar) => bar.update(), actions.failed);
  }
  const fetchHelp = onDemand(() => import("./keys_help.js"));
  const help = () => void fetchHelp().then((module) => module.showKeysHelp(), actions.failed);
  byId("keys-help").addEventListener("click", help);
  listenToKeys({ filter: byId("filter"), help });
  return {
    actions,
    extras: { selection, fillMenu: menuFiller(actions) },
    drawn: {
      health: createLateCharts(actions),
      /** @param {Batch[]} shown before they are drawn */
      batches(shown) {
        selection.keep(shown);
        drawBulk();
      },
    },
  };
}

/** @param {import("../shared/batch_rows.js").Actions} actions */
function menuFiller(actions) {
  const fetchMenu = onDemand(() => import("./menu.js"));
  return (/** @type {Batch} */ batch) => {
    byId("row-menu").replaceChildren();
    fetchMenu()
      .then(({ fillMenu }) => fillMenu(byId("row-menu"), batch, actions.failed))
      .catch(actions.failed);
  };
}

/** The charts are made when their section is opened for the first time, and drawn while it is open.
 * @param {import("../shared/batch_rows.js").Actions} actions @returns {(health: Health) => void} */
function createLateCharts(actions) {
  const section = byId("charts");
  const fetchCharts = onDemand(() =>
    import("./charts.js").then((module) => module.createCharts(byId("charts-body"))),
  );
  /** @type {Health | undefined} */
  let last;
  function draw() {
    if (!section.open || !last) return;
    const health = last;
    fetchCharts().then((charts) => charts.refresh(health), actions.failed);
  }
  section.open = remembered(CHARTS_STORED) === "open";
  section.addEventListener("toggle", () => {
    remember(CHARTS_STORED, section.open ? "open" : "closed");
    draw();
  });
  return (health) => {
    last = health;
    draw();
  };
}

const ROWS = ".job h3 a, td.name a";

/** @param {{ filter: HTMLInputElement, help: () => void }} page */
export function listenToKeys({ filter, help }) {
  document.addEventListener("keydown", (event) => {
    if (event.target === filter && event.key === "Escape") return leave(filter, event);
    if (!isForPage(event)) return;
    if (event.key === "?") help();
    else if (event.key === "/") filter.select();
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "x") press('input[type="checkbox"]');
    else if (event.key === "e") press("[aria-expanded][data-errors]");
    else return;
    event.preventDefault();
  });
}

/** The first Escape empties the filter (the browser does), the next one leaves it.
 * @param {HTMLInputElement} filter @param {KeyboardEvent} event */
function leave(filter, event) {
  if (filter.value !== "") return;
  event.preventDefault();
  move(1);
}

/** Focus goes to the next batch that is shown, from wherever it is now; at the ends it stays.
 * @param {1 | -1} step */
function move(step) {
  const links = /** @type {HTMLElement[]} */ (
    [...document.querySelectorAll(ROWS)].filter((link) => link.checkVisibility())
  );
  if (links.length === 0) return;
  const row = rowOf(document.activeElement);
  const here = links.findIndex((link) => rowOf(link) === row && row !== null);
  const next = links[here < 0 ? 0 : Math.min(links.length - 1, Math.max(0, here + step))];
  next.focus({ preventScroll: true });
  rowOf(next)?.scrollIntoView({ block: "nearest" });
}

/** @param {Element | null} node @returns {Element | null} */
function rowOf(node) {
  return node?.closest(".job, tbody tr") ?? null;
}

/** @param {string} selector of a control in the row that has the focus */
function press(selector) {
  const control = /** @type {HTMLElement | null | undefined} */ (
    rowOf(document.activeElement)?.querySelector(selector)
  );
  if (control?.checkVisibility()) control.click();
}
