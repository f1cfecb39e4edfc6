// Draws one vital into its card and keeps it current in place.

import { el, mirror, parts, setAttribute, setState, setText, show } from "./dom.js";
import { sparkPoints } from "./vitals.js";
import { rate } from "./format.js";

/** @typedef {import("./vitals.js").Vital} Vital */

/** @param {HTMLElement} card @param {string} what the gauge or the spark line shows, for those who cannot see it */
export function createVitalCard(card, what) {
  const at = parts(card);
  return {
    /** @param {Vital} vital */
    update(vital) {
      setState(at.state, vital.state);
      setText(at.big, vital.big);
      setText(at.unit, vital.unit);
      if (at.gauge) drawGauge(at.gauge, vital.gauge ?? null, what);
      if (at.spark) drawSpark(at.spark, vital.series ?? null, what);
      mirror(at.rows, vital.rows, (row) => row.label, createRow);
      show(at.hint, Boolean(vital.hint));
      setText(at.hintText, vital.hint ?? "");
      show(at.command, Boolean(vital.command));
      setText(at.command, vital.command ?? "");
    },
  };
}

/** @param {HTMLElement} place @param {NonNullable<Vital["gauge"]> | null} gauge @param {string} what */
function drawGauge(place, gauge, what) {
  show(place, gauge !== null);
  if (!gauge) return;
  const bar = /** @type {HTMLProgressElement} */ (place.firstElementChild);
  setAttribute(bar, "aria-label", what);
  setAttribute(bar, "class", gauge.tone || null);
  setAttribute(bar, "max", String(gauge.max || 1));
  setAttribute(bar, "value", String(Math.min(gauge.value, gauge.max)));
}

/** @param {HTMLElement} place @param {number[] | null} series @param {string} what */
function drawSpark(place, series, what) {
  show(place, series !== null);
  if (series === null) return;
  const points = sparkPoints(series.length > 1 ? series : [0, 0]);
  const [polygon, polyline] = /** @type {any} */ (place.querySelectorAll("polygon, polyline"));
  setAttribute(polyline, "points", points);
  setAttribute(polygon, "points", `0,30 ${points} 100,30`);
  const svg = /** @type {SVGElement} */ (place.querySelector("svg"));
  const said = series.length > 1 ? `from ${rate(Math.min(...series))} to ${rate(Math.max(...series))}, now ${rate(series.at(-1))}` : "no readings yet";
  setAttribute(svg, "aria-label", `${what}: ${said}`);
}

/** @returns {import("./dom.js").View} */
function createRow() {
  const label = el("dt");
  const value = el("dd");
  return {
    node: el("div", {}, label, value),
    /** @param {import("./vitals.js").Row} row */
    update(row) {
      setText(label, row.label);
      setAttribute(value, "class", row.tone && row.tone !== "fresh" ? row.tone : null);
      setAttribute(value, "title", row.title || null);
      setText(value, row.value);
    },
  };
}
