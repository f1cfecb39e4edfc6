// What the dashboard fetches only when it is used: actions with their questions, the menu, selection, charts, keys' help.

import { byId } from "./dom.js";
import { listenToKeys } from "./keys.js";
import { createNotice } from "./notice.js";
import { remember, remembered } from "./page.js";
import { createSelection } from "./row_parts.js";

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

/** @param {() => void} changed @returns {import("./job_row.js").Actions} */
function lateActions(changed) {
  /** @type {Promise<import("./job_row.js").Actions> | undefined} */
  let loaded;
  const notice = createNotice({ closable: true });
  const gone = () => {
    loaded = undefined;
    notice.say("bad", "The server of these pages does not answer: reload the page when it does.");
  };
  /** @param {(actions: import("./job_row.js").Actions) => void} act */
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

/** @param {import("./job_row.js").Actions} actions */
function menuFiller(actions) {
  return (/** @type {Batch} */ batch) => {
    byId("row-menu").replaceChildren();
    import("./dashboard_menu.js").then((module) => module.fillMenu(byId("row-menu"), batch, actions.failed)).catch(actions.failed);
  };
}

/** The charts are made when their section is opened for the first time, and drawn while it is open.
 * @param {import("./job_row.js").Actions} actions @returns {(health: Health) => void} */
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
