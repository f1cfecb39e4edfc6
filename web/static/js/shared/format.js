// Numbers, sizes and times as a person reads them. Pure: the moment `now` is always an argument.

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const GROUPED = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
export const NONE = "–";

/** 41208 → "41,208"
 * @param {number | null | undefined} value */
export function integer(value) {
  return value == null ? NONE : GROUPED.format(value);
}

/** 54213000 → "54.2 M"; below ten thousand the exact number
 * @param {number | null | undefined} value */
export function compact(value) {
  if (value == null) return NONE;
  if (value < 10_000) return integer(value);
  for (const [unit, size] of /** @type {[string, number][]} */ ([
    ["G", 1e9],
    ["M", 1e6],
    ["k", 1e3],
  ])) {
    if (value >= size * 0.9995) return `${(value / size).toFixed(value < size * 99.95 ? 1 : 0)} ${unit}`;
  }
  return integer(value);
}

/** A rate with two meaningful digits: 2511.4 → "2,511", 2.34 → "2.3", 0.042 → "0.042"
 * @param {number | null | undefined} value */
export function rate(value) {
  if (value == null) return NONE;
  if (value >= 10 || value === 0) return integer(value);
  return value >= 1 ? value.toFixed(1) : value.toPrecision(2);
}

/** A share in percent: few digits, but never "0 %" or "100 %" for what is not quite that.
 * @param {number} part @param {number} whole */
export function percent(part, whole) {
  if (!whole) return NONE;
  const value = (100 * part) / whole;
  if (value === 0 || value === 100) return `${value} %`;
  if (value < 1) return `${value < 0.001 ? "<0.001" : Number(value.toPrecision(2))} %`;
  return `${value > 99 ? Math.min(99.9, Number(value.toFixed(1))) : Math.round(value)} %`;
}

/** @param {number | null | undefined} value */
export function bytes(value) {
  if (value == null) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = value;
  let unit = 0;
  while (size >= 1023.5 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${size >= 99.95 || unit === 0 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

/** "3 s", "14 min", "2 h 10", "3 d 4 h"
 * @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (seconds == null) return NONE;
  if (seconds < 59.5) return `${Math.max(0, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 36) return minutes % 60 ? `${hours} h ${String(minutes % 60).padStart(2, "0")}` : `${hours} h`;
  return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${hours / 24} d`;
}

/** Latencies with two or three digits, however small.
 * @param {number} seconds */
export function secondsText(seconds) {
  if (seconds < 0.00995) return `${Number((seconds * 1000).toPrecision(2))} ms`;
  if (seconds < 0.0995) return `${Math.round(seconds * 1000)} ms`;
  return seconds < 99.5 ? `${seconds.toFixed(seconds < 9.95 ? 2 : 1)} s` : duration(seconds);
}

/** An estimate as the range it is: [1680, 1980] → "28 – 33 min"
 * @param {[number, number] | null | undefined} range */
export function durationRange(range) {
  if (!range) return NONE;
  const low = duration(range[0]);
  const high = duration(range[1]);
  if (low === high) return `about ${high}`;
  const [number, unit, rest] = low.split(" ");
  const sameUnit = rest === undefined && high.endsWith(` ${unit}`) && high.split(" ").length === 2;
  return `${sameUnit ? number : low} – ${high}`;
}

/** @param {number} seconds */
export function ago(seconds) {
  return seconds < 1 ? "just now" : `${duration(seconds)} ago`;
}

/** A moment in local time, near ones by name: "today 06:12", "yesterday 22:40", "12 Oct 22:40"
 * @param {number | null | undefined} unixSeconds @param {Date} now */
export function when(unixSeconds, now) {
  if (unixSeconds == null) return NONE;
  const at = new Date(unixSeconds * 1000);
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}`;
  const days = Math.round((startOfDay(now) - startOfDay(at)) / 86_400_000);
  if (days === 0) return `today ${clock}`;
  if (days === 1) return `yesterday ${clock}`;
  const year = at.getFullYear() === now.getFullYear() ? "" : ` ${at.getFullYear()}`;
  return `${at.getDate()} ${MONTHS[at.getMonth()]}${year} ${clock}`;
}

/** The exact moment, for a title: "2025-10-29 13:45:00 UTC"
 * @param {number | null | undefined} unixSeconds */
export function utc(unixSeconds) {
  return unixSeconds == null
    ? ""
    : `${new Date(unixSeconds * 1000).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** 1 → "1st"
 * @param {number} value */
export function ordinal(value) {
  const teen = value % 100 > 10 && value % 100 < 14;
  return `${value}${(!teen && ["th", "st", "nd", "rd"][value % 10]) || "th"}`;
}

/** @param {number} count @param {string} one @param {string} [many] */
export function plural(count, one, many = `${one}s`) {
  return `${integer(count)} ${count === 1 ? one : many}`;
}

/** "google/gemma-3-4b-it" → "gemma-3-4b-it"; a folder's path → its last part
 * @param {string | null | undefined} model */
export function shortModel(model) {
  return model ? (model.replace(/\/+$/, "").split("/").at(-1) ?? model) : NONE;
}

/** @param {Date} date */
function startOfDay(date) {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

/** @param {number} value */
function two(value) {
  return String(value).padStart(2, "0");
}
