// Compares pairs of texts word by word, for compare_diffs.js, within limits of time.

const LIBRARY = "../../vendor/diff@9.0.0/libesm/diff/word.js"; // an address that the type checker does not follow
const PAIR_MS = 250;
const ALL_MS = 1000;

/** @typedef {{ added: boolean, removed: boolean, value: string }} Change */

/** @type {Promise<any>} */
const library = import(LIBRARY).catch(() => null);

addEventListener("message", async ({ data }) => {
  const diff = await library;
  const until = Date.now() + ALL_MS;
  const found = data.pairs.map((/** @type {[string, string]} */ pair) =>
    diff ? compared(diff, pair, until) : null,
  );
  postMessage({ number: data.number, found, missing: diff === null });
});

/** @param {any} diff @param {[string, string]} pair @param {number} until */
function compared(diff, [before, after], until) {
  const timeout = Math.min(PAIR_MS, until - Date.now());
  if (timeout <= 0) return null;
  /** @type {Change[] | undefined} */
  const changes = diff.diffWordsWithSpace(before, after, { timeout });
  return (
    changes?.map(({ added, removed, value }) => ({
      kind: added ? "added" : removed ? "removed" : "same",
      text: value,
    })) ?? null
  );
}
