// Repeats one piece of work: at an interval, not while the tab is hidden, slower while it fails.

/** The wait before the next turn. The first failure is checked again soon, so that a lost API shows within two turns.
 * @param {number} intervalMs @param {number} failures in a row @returns {number} */
export function nextDelay(intervalMs, failures) {
  if (failures === 0) return intervalMs;
  if (failures === 1) return Math.min(intervalMs, 2000);
  return Math.min(Math.max(intervalMs, 2000) * 2 ** (failures - 2), 30_000);
}

/**
 * @template T
 * @param {{ work: (signal: AbortSignal) => Promise<T>, onDone: (result: T) => void, onFail: (error: unknown, failures: number, delayMs: number | null) => void }} parts `delayMs` null: off, no other turn comes
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
    if (interval > 0 && !isRunning && !document.hidden) timer = setTimeout(turn, nextDelay(interval, failures));
  }

  async function turn() {
    clearTimeout(timer);
    controller.abort();
    controller = new AbortController();
    const mine = (turns += 1);
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
