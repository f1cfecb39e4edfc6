// The four vitals: what /health says in words, as plain data; the cards that show it; the history behind their lines.

import { callJson } from "./api.js";
import { el, parts, reconcile, setAttribute, setState, setText, show } from "./dom.js";
import {
  ago,
  bytes,
  compact,
  duration,
  durationRange,
  integer,
  NONE,
  percent,
  plural,
  rate,
  shortModel,
} from "./format.js";

/** @typedef {import("./wire.js").Health} Health */
/** @typedef {import("./wire.js").Sample} Sample */
/** @typedef {{ from: number, to: number, mean: number | null, low: number | null, high: number | null }} Bucket */
/** @typedef {{ label: string, value: string, tone?: string, title?: string }} Row */
/**
 * @typedef {{
 *   state: import("./batches.js").State | null, big: string, unit: string, rows: Row[], hint?: string,
 * command?: string,
 *   gauge?: { value: number, max: number, tone?: string } | null, series?: number[] | null,
 * }} Vital
 */

/** @param {Health["gpu"]} gpu @param {string | null} model the loaded one @returns {Vital} */
export function gpuVital(gpu, model) {
  if (!gpu.available) {
    return {
      state: { word: "not present", tone: "", icon: "ban" },
      big: "No GPU",
      unit: "",
      rows: [{ label: "model loaded", value: shortModel(model), title: model ?? "" }],
      hint: "No NVIDIA driver answers on this machine. Batches are accepted; a worker set up for the CPU computes them, slowly.",
    };
  }
  const used = gpu.memory_used_bytes ?? 0;
  const total = gpu.memory_total_bytes ?? 0;
  const healthy = gpu.status === "healthy";
  return {
    state: { word: gpu.status, tone: healthy ? "ok" : "bad", icon: healthy ? "check" : "warning" },
    big: (used / 2 ** 30).toFixed(1),
    unit: `of ${bytes(total)}`,
    gauge: { value: used, max: total, tone: healthy ? "" : "warn" },
    rows: [
      { label: "card", value: (gpu.name ?? NONE).replace(/^NVIDIA /, ""), title: gpu.name ?? "" },
      {
        label: "temperature",
        value: gpu.temperature_c == null ? NONE : `${gpu.temperature_c} °C of ${gpu.max_temperature_c}`,
      },
      {
        label: "utilisation",
        value: gpu.utilization_percent == null ? NONE : `${gpu.utilization_percent} %`,
      },
      { label: "power", value: gpu.power_w == null ? NONE : `${integer(gpu.power_w)} W` },
      { label: "processes", value: integer(gpu.processes) },
      { label: "model loaded", value: shortModel(model), title: model ?? "" },
    ],
  };
}

/** @type {Record<string, import("./batches.js").State>} */
const WORKER_STATES = {
  idle: { word: "idle", tone: "ok", icon: "check" },
  loading: { word: "loading model", tone: "run", icon: "dots" },
  processing: { word: "processing", tone: "run", icon: "dot" },
  draining: { word: "draining", tone: "warn", icon: "clock" },
  late: { word: "late", tone: "warn", icon: "warning" },
  lost: { word: "lost", tone: "bad", icon: "cross" },
  none: { word: "not running", tone: "bad", icon: "cross" },
};

/** Tokens a second now: the heartbeat's figure may outlive the work.
 * @param {Pick<Health["worker"], "status" | "tokens_per_second">} worker */
export function speedOf({ status, tokens_per_second: tokens }) {
  return status === "processing" || status === "draining" ? tokens : 0;
}

/** @param {Health["worker"]} worker @param {number[] | null} series tokens/s, oldest first @returns {Vital} */
export function workerVital(worker, series) {
  const state = WORKER_STATES[worker.status] ?? { word: worker.status, tone: "", icon: "info" };
  if (worker.status === "none") {
    return {
      state,
      big: "No worker",
      unit: "",
      rows: [],
      hint: "Batches wait until one runs. Start it with",
      command: "make worker",
    };
  }
  const age = worker.heartbeat_age_seconds;
  const beat = age == null ? NONE : ago(age);
  const rows = [
    {
      label: "heartbeat",
      value: worker.heartbeat === "fresh" ? beat : `${beat}, ${worker.heartbeat}`,
      tone: worker.heartbeat,
    },
    { label: "model", value: shortModel(worker.model), title: worker.model ?? "" },
    { label: "requests in flight", value: integer(worker.requests_in_flight) },
  ];
  if (worker.engine_restarts > 0)
    rows.push({ label: "engine restarts", value: integer(worker.engine_restarts), tone: "late" });
  if (worker.cached_prompt_share != null)
    rows.push({ label: "cached prompt share", value: percent(worker.cached_prompt_share, 1) });
  else if (worker.engine) rows.push({ label: "engine", value: worker.engine });
  const speed = worker.heartbeat === "fresh" ? rate(speedOf(worker)) : NONE;
  return { state, big: speed, unit: "tokens/s", series, rows };
}

/**
 * @param {Health["queue"]} queue
 * @param {[number, number] | null} empty seconds until the queue is empty
 * @returns {Vital}
 */
export function queueVital(queue, empty) {
  const full = !queue.accepting;
  return {
    state: {
      word: full ? "not accepting" : `${queue.active_batches} of ${queue.max_active_batches} batches`,
      tone: full ? "bad" : "",
      icon: full ? "ban" : "inbox",
    },
    big: integer(queue.queued_requests),
    unit: `${queue.queued_requests === 1 ? "request" : "requests"} waiting`,
    gauge: { value: queue.queued_requests, max: queue.max_queued_requests },
    rows: [
      { label: "oldest waiting", value: duration(queue.oldest_waiting_seconds) },
      {
        label: "room for",
        value: `${integer(Math.max(0, queue.max_queued_requests - queue.queued_requests))} of ${integer(queue.max_queued_requests)}`,
      },
      { label: "empty in about", value: durationRange(empty).replace(/^about /, "") },
    ],
    hint: full ? (queue.reason ?? "") : "",
  };
}

/** @param {Health} health @param {number[] | null} series requests/s, oldest first @returns {Vital} */
export function dayVital(health, series) {
  const { answers, failed, dead_letters: dead } = health.last_24_hours;
  return {
    state:
      dead > 0
        ? { word: plural(dead, "dead letter"), tone: "warn", icon: "warning" }
        : { word: "no dead letters", tone: "ok", icon: "check" },
    big: answers < 1e6 ? integer(answers) : compact(answers),
    unit: answers === 1 ? "answer" : "answers",
    series,
    rows: [
      {
        label: "failed",
        value: failed === 0 ? "0" : `${integer(failed)} (${percent(failed, answers + failed)})`,
      },
      {
        label: "disk free",
        value: bytes(health.disk.free_bytes),
        tone: health.disk.free_percent < 5 ? "lost" : "",
      },
      { label: "version", value: health.version },
    ],
  };
}

/** When the last open batch is expected to end: the latest of the estimates, if every batch has one.
 * @param {import("./wire.js").Batch[]} open @returns {[number, number] | null} */
export function emptyIn(open) {
  const estimates = open.map((batch) => batch.progress.eta_seconds);
  if (estimates.length === 0 || estimates.includes(null)) return null;
  const known = /** @type {[number, number][]} */ (estimates);
  return [Math.max(...known.map(([low]) => low)), Math.max(...known.map(([, high]) => high))];
}

/** Equal pieces of time from the oldest to `to`; one without a reading is null, so that a pause shows as a gap.
 * Pieces begin at multiples of their width: a later reading changes the last one only.
 * @param {Sample[]} samples oldest first
 * @param {keyof Sample} field
 * @param {{ to: number, seconds: number, pieces: number }} window
 * @returns {Bucket[]} */
export function buckets(samples, field, { to, seconds, pieces }) {
  const width = seconds / pieces;
  const first = Math.floor((to - seconds) / width) + 1;
  /** @type {Bucket[]} */
  const found = Array.from({ length: pieces }, (_, index) => ({
    from: (first + index) * width,
    to: (first + index + 1) * width,
    mean: null,
    low: null,
    high: null,
  }));
  const counts = new Array(pieces).fill(0);
  for (const sample of samples) {
    const index = Math.floor(sample.at / width) - first;
    const value = sample[field];
    if (value == null || index < 0 || index >= pieces) continue;
    counts[index] += 1;
    add(found[index], value, counts[index]);
  }
  return found;
}

/** @param {Bucket} bucket @param {number} value @param {number} count of the values with this one */
function add(bucket, value, count) {
  bucket.mean = (bucket.mean ?? 0) + (value - (bucket.mean ?? 0)) / count;
  bucket.low = Math.min(bucket.low ?? value, value);
  bucket.high = Math.max(bucket.high ?? value, value);
}

/** The means of the pieces as a line: nothing is done where nothing was read. Empty without any reading.
 * @param {Sample[]} samples
 * @param {keyof Sample} field
 * @param {{ to: number, seconds: number, pieces: number }} window
 * @returns {number[]}
 */
export function lineOf(samples, field, window) {
  const found = buckets(samples, field, window);
  return found.some(({ mean }) => mean !== null) ? found.map(({ mean }) => mean ?? 0) : [];
}

/** Points of a spark line in a box of 100 × 30, newest at the right; the tallest value touches the top.
 * @param {number[]} values @returns {string} */
export function sparkPoints(values) {
  const top = Math.max(...values, 1e-9);
  const step = 100 / Math.max(1, values.length - 1);
  return values
    .map((value, index) => `${(index * step).toFixed(2)},${(29 - (27 * value) / top).toFixed(2)}`)
    .join(" ");
}

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
      reconcile(at.rows, vital.rows, (row) => row.label, createRow);
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
  const said =
    series.length > 1
      ? `from ${rate(Math.min(...series))} to ${rate(Math.max(...series))}, now ${rate(series.at(-1))}`
      : "no readings in this time";
  setAttribute(svg, "aria-label", `${what}: ${said}`);
}

/** @returns {import("./dom.js").View} */
function createRow() {
  const label = el("dt");
  const value = el("dd");
  return {
    node: el("div", {}, label, value),
    /** @param {Row} row */
    update(row) {
      setText(label, row.label);
      setAttribute(value, "class", row.tone && row.tone !== "fresh" ? row.tone : null);
      setAttribute(value, "title", row.title || null);
      setText(value, row.value);
    },
  };
}

const STEP_SECONDS = 120;
const EVERY_MS = 30_000;
const LAG_SECONDS = 60; // until what happened is here: read every 10 s by the worker, every 30 s by the page
const HOUR = { seconds: 3600, pieces: 3600 / STEP_SECONDS };
const DAY = { seconds: 24 * 3600, pieces: 60 };

/** The history behind the lines: of one answer, the day shows the requests and its last hour the tokens. */
export function createSeries() {
  /** @type {Sample[]} */
  let samples = [];
  let readAt = -Infinity;
  return {
    /** @param {number} time the API's, which the samples have too */
    tokens: (time) => lineOf(samples, "tokens_per_second", { to: time - LAG_SECONDS, ...HOUR }),
    /** @param {number} time */
    answers: (time) => lineOf(samples, "requests_per_second", { to: time - LAG_SECONDS, ...DAY }),
    /** Never a reason for the page to fail: what could not be read, or belonged to a turn that another one overtook, is
     * read again by the next.
     * @param {AbortSignal} signal */
    async refresh(signal) {
      const now = performance.now();
      if (now - readAt <= EVERY_MS) return;
      try {
        ({ data: samples } = await callJson(`/v1/samples?hours=24&step=${STEP_SECONDS}`, { signal }));
        readAt = now;
      } catch {
        // The numbers show without their lines.
      }
    },
  };
}
