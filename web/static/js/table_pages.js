// The rows of one question, read page by page as they are wanted. Knows nothing about the document.

import { PAGE_ROWS } from "./table_place.js";

/** @typedef {import("./wire.js").AnswerTable} AnswerTable */
/** @typedef {import("./wire.js").AnswerRow} AnswerRow */
/** @typedef {ReturnType<typeof createPages>} Pages */

const KEPT_PAGES = 12;
/** Between two reads, so that a dragged scroll bar does not ask for everything on its way. */
const PAUSE_MS = 60;

/**
 * @param {{
 *   read: (page: number, signal: AbortSignal) => Promise<AnswerTable>, onRead: (table: AnswerTable) => void,
 *   onFail: (error: unknown) => void,
 * }} parts
 */
export function createPages({ read, onRead, onFail }) {
  /** @type {Map<number, AnswerRow[]>} the latest wanted last */
  const kept = new Map();
  /** @type {Map<number, AbortController>} */
  const coming = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let startedAt = -Infinity;

  /** @param {number} page */
  async function start(page) {
    const controller = new AbortController();
    coming.set(page, controller);
    startedAt = performance.now();
    try {
      const table = await read(page, controller.signal);
      if (controller.signal.aborted) return;
      keep(page, table.data);
      onRead(table);
    } catch (error) {
      if (!controller.signal.aborted) onFail(error);
    } finally {
      if (coming.get(page) === controller) coming.delete(page);
    }
  }

  /** @param {number} page @param {AnswerRow[]} rows */
  function keep(page, rows) {
    kept.delete(page);
    kept.set(page, rows);
    for (const old of kept.keys()) if (kept.size > KEPT_PAGES) kept.delete(old);
  }

  return {
    /** @param {number} index @returns {AnswerRow | null} null: not read yet */
    row(index) {
      return kept.get(Math.floor(index / PAGE_ROWS))?.[index % PAGE_ROWS] ?? null;
    },
    /** Reads these pages and forgets about others that are still under way.
     * @param {number[]} pages */
    want(pages) {
      clearTimeout(timer);
      for (const [page, controller] of coming) {
        if (pages.includes(page)) continue;
        controller.abort();
        coming.delete(page);
      }
      for (const page of pages) {
        const rows = kept.get(page);
        if (rows) keep(page, rows);
      }
      const missing = pages.filter((page) => !kept.has(page) && !coming.has(page));
      if (missing.length === 0) return;
      const wait = startedAt + PAUSE_MS - performance.now();
      if (wait <= 0) missing.forEach(start);
      else timer = setTimeout(() => missing.forEach(start), wait);
    },
    /** @param {number[]} pages */
    has(pages) {
      return pages.every((page) => kept.has(page));
    },
    close() {
      clearTimeout(timer);
      for (const controller of coming.values()) controller.abort();
      coming.clear();
    },
  };
}
