// The history behind the spark lines. Read seldom, and never a reason for the page to fail.

import { callJson } from "./api.js";
import { thinned } from "./vitals.js";

const POINTS = 60;
const HOUR_EVERY_MS = 30_000;
const DAY_EVERY_MS = 300_000;

export function createSeries() {
  /** @type {number[]} */
  let tokens = [];
  /** @type {number[]} */
  let answers = [];
  let hourAt = -Infinity;
  let dayAt = -Infinity;
  return {
    get tokens() {
      return tokens;
    },
    get answers() {
      return answers;
    },
    /** Waits for the last hour only; the whole day is large and shows with a later turn. What could not be read, or
     * belonged to a turn that another one overtook, is read again by the next.
     * @param {AbortSignal} signal */
    async refresh(signal) {
      const now = performance.now();
      if (now - dayAt > DAY_EVERY_MS) {
        dayAt = now;
        void read(24, "requests_per_second").then((found) => (answers = found), () => (dayAt = -Infinity));
      }
      if (now - hourAt <= HOUR_EVERY_MS) return;
      try {
        tokens = await read(1, "tokens_per_second", signal);
        hourAt = now;
      } catch {
        // The numbers show without their line.
      }
    },
  };
}

/** @param {number} hours @param {"tokens_per_second" | "requests_per_second"} field @param {AbortSignal} [signal] */
async function read(hours, field, signal) {
  /** @type {{ data: import("./wire.js").Sample[] }} */
  const samples = await callJson(`/v1/samples?hours=${hours}`, { signal });
  return thinned(samples.data.map((sample) => sample[field]), POINTS);
}
