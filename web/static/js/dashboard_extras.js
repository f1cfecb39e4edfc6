// What the dashboard has besides its numbers: keys, and what is fetched only when it is used: actions with their
// questions, the menu, selection, charts, the help of the keys (`/` filters, `j` and `k` move, Enter opens, `?` explains).

import { createSelection } from "./batch_rows.js";
import { byId } from "./dom.js";
import { createNotice, remember, remembered } from "./page.js";

/** @typedef {import("./wire.js").Batch} Batch */
/** @typedef {import("./wire.js").Health} Health */

const CHARTS_STORED = "batch-charts";

/** @param {{ changed: () => void, redraw: () => void }} page `changed`: the API has news; `redraw`: only what is shown */
export function createExtras({ changed, redraw }) {
  const actions = lateActions(changed);
  const selection = createSelection(() => {
    redraw();
    if (selection.batches().length > 0) bulk ??= import("./dashboard_bulk.js").then((module) => module.createBulkBar(byId("bulk"), selection, { changed }));
    drawBulk();
  });
  /** @type {Promise<{ update: () => void }> | undefined} */
  let bulk;
  function drawBulk() {
    bulk?.then((bar) => bar.update(), (error) => {
      bulk = undefined;
      actions.failed(error);
    });
  }
  const help = () => void import("./keys_help.js").then((module) => module.showKeysHelp(), actions.failed);
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

/** @param {() => void} changed @returns {import("./batch_rows.js").Actions} */
function lateActions(changed) {
  /** @type {Promise<import("./batch_rows.js").Actions> | undefined} */
  let loaded;
  const notice = createNotice({ closable: true });
  const gone = () => {
    loaded = undefined;
    notice.say("bad", "The server of these pages does not answer: reload the page when it does.");
  };
  /** @param {(actions: import("./batch_rows.js").Actions) => void} act */
  const late = (act) => {
    loaded ??= import("./batch_actions.js").then((module) => module.createBatchActions({ changed }));
    void loaded.then(act, gone);
  };
  return {
    cancel: (batch) => late((actions) => actions.cancel(batch)),
    retry: (batch) => late((actions) => actions.retry(batch)),
    failed: (error) => late((actions) => actions.failed(error)),
  };
}

/** @param {import("./batch_rows.js").Actions} actions */
function menuFiller(actions) {
  return (/** @type {Batch} */ batch) => {
    byId("row-menu").replaceChildren();
    import("./dashboard_menu.js").then((module) => module.fillMenu(byId("row-menu"), batch, actions.failed)).catch(actions.failed);
  };
}

/** The charts are made when their section is opened for the first time, and drawn while it is open.
 * @param {import("./batch_rows.js").Actions} actions @returns {(health: Health) => void} */
function createLateCharts(actions) {
  const section = byId("charts");
  /** @type {Promise<{ refresh: (health: Health) => void }> | undefined} */
  let charts;
  /** @type {Health | undefined} */
  let last;
  function draw() {
    if (!section.open || !last) return;
    const health = last;
    charts ??= import("./charts.js").then((module) => module.createCharts(byId("charts-body")));
    charts.then((made) => made.refresh(health), (error) => {
      charts = undefined;
      actions.failed(error);
    });
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

const STORED = "batch-keys";
const ROWS = ".job h3 a, td.name a";

export function keysAreOn() {
  return remembered(STORED) !== "off";
}

/** Single keys get in the way of speech input; so they can be switched off.
 * @param {boolean} on */
export function setKeys(on) {
  remember(STORED, on ? "on" : "off");
}

/** @param {{ filter: HTMLInputElement, help: () => void }} page */
export function listenToKeys({ filter, help }) {
  document.addEventListener("keydown", (event) => {
    if (event.target === filter && event.key === "Escape") return leave(filter, event);
    if (!isPlain(event) || !keysAreOn()) return;
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

/** A key for the page: not with Ctrl and the like, not while something is typed or asked.
 * @param {KeyboardEvent} event */
function isPlain(event) {
  const at = /** @type {Element} */ (event.target);
  const typed = at.matches("textarea, select, input:not([type=checkbox]), [contenteditable]");
  return !event.ctrlKey && !event.metaKey && !event.altKey && !event.isComposing && !typed && !document.querySelector("dialog[open]");
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
  const links = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(ROWS)].filter((link) => link.checkVisibility()));
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
  const control = /** @type {HTMLElement | null | undefined} */ (rowOf(document.activeElement)?.querySelector(selector));
  if (control?.checkVisibility()) control.click();
}
