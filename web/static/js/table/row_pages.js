// Reads what a table shows: which rows are in sight, the pages that have them, and the question that is asked now.

import { callJson } from "../shared/api.js";
import { batchPath } from "../shared/batches.js";
import { PAGE_ROWS, pagePath, questionOf } from "./url_state.js";

/** @typedef {import("../shared/wire.js").AnswerTable | import("../shared/wire.js").JoinedTable} AnyTable */
/**
 * @typedef {import("../shared/wire.js").JoinedRow} Row of one batch or of several; its answers are in the
 * order of the batches
 */
/** @typedef {import("./url_state.js").TablePlace} TablePlace */
/** @typedef {{ total: number, indexed: number, complete: boolean }} Extent */
/** @typedef {ReturnType<typeof createPages>} Pages */
/** @typedef {{ pages: Pages, question: string, paths: string[], end: () => void }} Asked */

const MARGIN_ROWS = 8;
/** So many cells at once at most, whatever the screen. */
const MOST_CELLS = 900;

/** @typedef {{ first: number, end: number }} Rows from `first` to before `end`, counted from 0 */

/**
 * @param {{ top: number, height: number, rowHeight: number, total: number, columns: number }} view
 * @returns {{ seen: Rows, drawn: Rows }}
 */
export function rowsAt({ top, height, rowHeight, total, columns }) {
  const most = Math.max(1, Math.ceil(height / rowHeight) + 1);
  const first = Math.max(0, Math.min(Math.floor(top / rowHeight), total - 1));
  const seen = { first, end: Math.min(total, first + most) };
  const spare = Math.floor((MOST_CELLS / Math.max(1, columns) - most) / 2);
  const margin = Math.max(0, Math.min(MARGIN_ROWS, spare));
  return { seen, drawn: { first: Math.max(0, first - margin), end: Math.min(total, seen.end + margin) } };
}

/** The numbers of the pages that have these rows.
 * @param {Rows} rows @param {number} pageRows @returns {number[]} */
export function pagesOf({ first, end }, pageRows) {
  if (end <= first) return [Math.floor(first / pageRows)];
  const low = Math.floor(first / pageRows);
  const high = Math.floor((end - 1) / pageRows);
  return Array.from({ length: high - low + 1 }, (_, index) => low + index);
}

const KEPT_PAGES = 12;
/** Between two reads, so that a dragged scroll bar does not ask for everything on its way. */
const PAUSE_MS = 60;

/**
 * @param {{
 *   read: (page: number, signal: AbortSignal) => Promise<AnyTable>, onRead: (table: AnyTable) => void,
 *   onFail: (error: unknown) => void,
 * }} parts
 */
export function createPages({ read, onRead, onFail }) {
  /** @type {Map<number, Row[]>} the latest wanted last */
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
      keep(
        page,
        table.data.map((row) => ("answers" in row ? row : { custom_id: row.custom_id, answers: [row] })),
      );
      onRead(table);
    } catch (error) {
      if (!controller.signal.aborted) onFail(error);
    } finally {
      if (coming.get(page) === controller) coming.delete(page);
    }
  }

  /** @param {number} page @param {Row[]} rows */
  function keep(page, rows) {
    kept.delete(page);
    kept.set(page, rows);
    for (const old of kept.keys()) if (kept.size > KEPT_PAGES) kept.delete(old);
  }

  return {
    /** @param {number} index @returns {Row | null} null: not read yet */
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

/**
 * The batches, then the fields of each: once a batch has ended nothing is read again, so all of its fields
 * must be there.
 * @param {TablePlace} place @param {AbortSignal} signal */
export async function readBatches({ batches }, signal) {
  const read = (/** @type {string} */ more) =>
    Promise.all(batches.map((id) => callJson(`${batchPath(id)}${more}`, { signal })));
  /** @type {import("../shared/wire.js").Batch[]} */
  const found = await read("");
  /** @type {{ data: import("../shared/wire.js").Field[] }[]} */
  const fields = await read("/fields");
  return { batches: found, fields: fields.map(({ data }) => data) };
}

/** Where the first row is, counted from 0, whose custom_id begins like this; null: there is none.
 * @param {TablePlace} place @param {string} prefix @returns {Promise<number | null>} */
export async function findRow(place, prefix) {
  return (await callJson(`${pagePath(place, [], 0, 1)}&${new URLSearchParams({ find: prefix })}`)).found;
}

/** What is shown stays until the next question's rows are there, so that nothing flickers.
 * @param {{ onRows: (extent: Extent) => void, onFail: (error: unknown) => void }} parts */
export function createReading({ onRows, onFail }) {
  /** @type {Asked | null} */
  let current = null;
  /** @type {Asked | null} */
  let coming = null;

  return {
    /** @param {number} index */
    row: (index) => current?.pages.row(index) ?? null,
    /** @param {Rows} rows */
    want: (rows) => current?.pages.want(pagesOf(rows, PAGE_ROWS)),
    /** Whether the rows that are shown are those of this place, in all columns or not.
     * @param {TablePlace} place */
    shows: (place) => current?.question === questionOf(place),
    /** Whether the rows of this place are shown or on their way.
     * @param {TablePlace} place @param {string[]} paths */
    answers(place, paths) {
      const asked = coming ?? current;
      return (
        asked !== null &&
        asked.question === questionOf(place) &&
        paths.every((path) => asked.paths.includes(path))
      );
    },
    /** Resolves once the rows are shown, or another question has taken over.
     * @param {TablePlace} place
     * @param {string[]} paths
     * @param {Rows} rows
     * @param {() => void} [onShown] just before they are shown
     * @returns {Promise<void>} */
    ask(place, paths, rows, onShown) {
      coming?.end();
      const wanted = pagesOf(rows, PAGE_ROWS);
      return new Promise((resolve, reject) => {
        const pages = createPages({
          read: (page, signal) => callJson(pagePath(place, paths, page), { signal }),
          onRead(table) {
            if (coming === next && pages.has(wanted)) {
              current?.pages.close();
              [current, coming] = [next, null];
              onShown?.();
              resolve();
            }
            if (current === next) onRows(table);
          },
          onFail(error) {
            if (current === next) return onFail(error);
            if (coming === next) coming = null;
            reject(error);
          },
        });
        const end = () => {
          pages.close();
          resolve();
        };
        /** @type {Asked} */
        const next = { pages, question: questionOf(place), paths, end };
        coming = next;
        pages.want(wanted);
      });
    },
    forget() {
      coming?.end();
      current?.pages.close();
      coming = current = null;
    },
  };
}
