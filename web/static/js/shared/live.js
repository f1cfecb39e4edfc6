// Keeps a page's numbers up to date and says how old they are: a poller, and the notice of an API that does not answer.

import { ApiError, enterKey, forgetDecline } from "./api.js";
import { byId, el, setText, show } from "./dom.js";
import { ago, duration } from "./format.js";
import { createNotice, messageOf, withCommands } from "./page.js";

/** The wait before the next turn. The first failure is checked again soon, so that a lost API shows within two turns.
 * @param {number} intervalMs @param {number} failures in a row @returns {number} */
export function nextDelay(intervalMs, failures) {
  if (failures === 0) return intervalMs;
  if (failures === 1) return Math.min(intervalMs, 2000);
  return Math.min(Math.max(intervalMs, 2000) * 2 ** (failures - 2), 30_000);
}

/** Repeats one piece of work: at an interval, not while the tab is hidden, slower while it fails.
 * @template T
 * @param {{ work: (signal: AbortSignal) => Promise<T>, onDone: (result: T) => void, onFail: (error: unknown,
 * failures: number, delayMs: number | null) => void }} parts `delayMs` null: off, no other turn comes
 */
export function createPoller({ work, onDone, onFail }) {
  let interval = 5000;
  let failures = 0;
  let turns = 0;
  let isRunning = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let controller = new AbortController();

  function schedule() {
    clearTimeout(timer);
    if (interval > 0 && !isRunning && !document.hidden)
      timer = setTimeout(turn, nextDelay(interval, failures));
  }

  async function turn() {
    clearTimeout(timer);
    controller.abort();
    controller = new AbortController();
    turns += 1;
    const mine = turns;
    isRunning = true;
    try {
      const result = await work(controller.signal);
      if (mine !== turns) return; // a newer turn has taken over
      failures = 0;
      onDone(result);
    } catch (error) {
      if (mine !== turns) return;
      failures += 1;
      onFail(error, failures, interval > 0 ? nextDelay(interval, failures) : null);
    }
    isRunning = false;
    schedule();
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else if (interval > 0) void turn();
  });

  return {
    now: turn,
    /** A turn under way is waited for, however slow; the next one comes so long after it.
     * @param {number} milliseconds 0 switches repeating off */
    every(milliseconds) {
      interval = milliseconds;
      schedule();
    },
  };
}

const LATE_AFTER_SECONDS = 40;

/** Needs #live with #age, #announce and #content on the page.
 * @param {{ retryNow: () => void }} actions */
export function createFreshness({ retryNow }) {
  /** @type {number | null} */
  let updatedAt = null;
  let lost = false;
  /** @type {number | null} */
  let retryAt = null;
  const title = el("strong");
  const detail = el("span");
  const hint = el(
    "p",
    { class: "small muted" },
    ...withCommands("Is it running? Start it with make api and look at its terminal."),
  );
  const keyButton = el("button", { type: "button", hidden: true }, "Enter key");
  const retryButton = el("button", { type: "button" }, "Try now");
  const notice = createNotice({ buttons: [keyButton, retryButton] });

  retryButton.addEventListener("click", retryNow);
  keyButton.addEventListener("click", async () => {
    forgetDecline();
    if (await enterKey()) retryNow();
  });
  setInterval(tick, 1000);

  function tick() {
    const now = Date.now();
    const age = updatedAt === null ? null : (now - updatedAt) / 1000;
    setText(byId("age"), age === null ? (lost ? "never" : "…") : ago(Math.floor(age)));
    byId("live").dataset.live = lost
      ? "lost"
      : age === null
        ? ""
        : age > LATE_AFTER_SECONDS
          ? "late"
          : "fresh";
    if (lost) setText(detail, lostDetail(now));
  }

  /** @param {number} now */
  function lostDetail(now) {
    const numbers =
      updatedAt === null
        ? "Nothing has been read yet."
        : `The numbers below are ${duration((now - updatedAt) / 1000)} old.`;
    if (retryAt === null) return numbers;
    const wait = Math.ceil((retryAt - now) / 1000);
    return `${numbers} ${wait > 0 ? `Trying again in ${wait} s.` : "Trying again now."}`;
  }

  /** @param {boolean} value lost: the title says what was wrong */
  function setLost(value) {
    if (lost === value) return;
    lost = value;
    setText(byId("announce"), value ? title.textContent : "The numbers are up to date again.");
    if (value) notice.say("bad", el("p", {}, title, " ", detail), hint);
    else notice.hide();
    byId("content").classList.toggle("stale", value);
  }

  return {
    updated() {
      updatedAt = Date.now();
      setLost(false);
      byId("content").classList.remove("loading");
      tick();
    },
    /** Shown from the second failure in a row; at once when the API answered but refused, and when no other turn comes.
     * @param {unknown} error @param {number} failures @param {number | null} delayMs */
    failed(error, failures, delayMs) {
      retryAt = delayMs === null ? null : Date.now() + delayMs;
      const refused = error instanceof ApiError;
      setText(title, messageOf(error));
      show(keyButton, refused && error.status === 401);
      show(hint, !refused);
      if (failures > 1 || refused || delayMs === null) setLost(true);
      tick();
    },
  };
}
