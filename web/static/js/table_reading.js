// Reads what a table shows: the batch, its fields, and the pages of the question that is asked now.

import { callJson } from "./api.js";
import { createPages } from "./table_pages.js";
import { batchPath, PAGE_ROWS, pagePath, questionOf } from "./table_place.js";
import { pagesOf } from "./table_window.js";

/** @typedef {import("./wire.js").AnswerTable} AnswerTable */
/** @typedef {import("./table_place.js").TablePlace} TablePlace */
/** @typedef {{ total: number, indexed: number, complete: boolean }} Extent */
/** @typedef {{ pages: import("./table_pages.js").Pages, question: string, paths: string[], end: () => void }} Asked */

/** @param {TablePlace} place @param {AbortSignal} signal */
export async function readBatch(place, signal) {
  /** @type {[import("./wire.js").Batch, { data: import("./wire.js").Field[] }]} */
  const [batch, fields] = await Promise.all([callJson(batchPath(place), { signal }), callJson(`${batchPath(place)}/fields`, { signal })]);
  return { batch, fields: fields.data };
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
    /** @param {import("./table_window.js").Rows} rows */
    want: (rows) => current?.pages.want(pagesOf(rows, PAGE_ROWS)),
    /** Whether the rows that are shown are those of this place, in all columns or not.
     * @param {TablePlace} place */
    shows: (place) => current?.question === questionOf(place),
    /** Whether the rows of this place are shown or on their way.
     * @param {TablePlace} place @param {string[]} paths */
    answers(place, paths) {
      const asked = coming ?? current;
      return asked !== null && asked.question === questionOf(place) && paths.every((path) => asked.paths.includes(path));
    },
    /** Resolves once the rows are shown, or another question has taken over.
     * @param {TablePlace} place @param {string[]} paths @param {import("./table_window.js").Rows} rows @param {() => void} [onShown] just before they are shown
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
        /** @type {Asked} */
        const next = { pages, question: questionOf(place), paths, end: () => (pages.close(), resolve()) };
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
