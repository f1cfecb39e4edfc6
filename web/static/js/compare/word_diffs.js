// Word differences, found in a worker so that the page never waits for one. No answer in time: the texts stay
// as they are.

/** @typedef {import("./differences.js").Piece} Piece */
/**
 * @typedef {{ pieces: (Piece[] | null)[], resolve: (found: (Piece[] | null)[]) => void, timer:
 * ReturnType<typeof setTimeout> }} Waiting
 */

const WORKER_URL = new URL("./diff_worker.js", import.meta.url).href;
const PATIENCE_MS = 3000;

/**
 * @returns {(pairs: [string, string][]) => Promise<(Piece[] | null)[]>} of each pair its pieces, null when
 * they were not found
 */
export function createDiffs() {
  /** @type {Worker | null} */
  let worker = null;
  let isBroken = false;
  let asked = 0;
  /** @type {Map<number, Waiting>} */
  const waiting = new Map();

  /** @param {number} number @param {(Piece[] | null)[]} [found] */
  function answer(number, found) {
    const one = waiting.get(number);
    if (!one) return;
    waiting.delete(number);
    clearTimeout(one.timer);
    one.resolve(found ?? one.pieces);
  }

  function giveUp() {
    worker?.terminate();
    worker = null;
    for (const number of [...waiting.keys()]) answer(number);
  }

  function started() {
    const made = new Worker(trustedUrl(), { type: "module" });
    made.onmessage = ({ data }) => {
      isBroken ||= data.missing;
      answer(data.number, data.found);
    };
    made.onerror = () => {
      isBroken = true;
      giveUp();
    };
    return made;
  }

  return (pairs) =>
    new Promise((resolve) => {
      const nothing = pairs.map(() => null);
      if (isBroken || pairs.length === 0) return resolve(nothing);
      worker ??= started();
      asked += 1;
      waiting.set(asked, { pieces: nothing, resolve, timer: setTimeout(giveUp, PATIENCE_MS) });
      worker.postMessage({ number: asked, pairs });
    });
}

/** @type {any} */
let policy;

/** The pages' policy wants the address of a worker from a named policy; this one lets through that one address.
 * @returns {string} */
function trustedUrl() {
  const { trustedTypes } = /** @type {any} */ (globalThis);
  if (!trustedTypes) return WORKER_URL;
  policy ??= trustedTypes.createPolicy("batch-worker", {
    /** @param {string} url */
    createScriptURL(url) {
      if (url !== WORKER_URL) throw new TypeError("no worker but the one for differences");
      return url;
    },
  });
  return policy.createScriptURL(WORKER_URL);
}
