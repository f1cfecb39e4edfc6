// The ledger of a batch as a table: one row per input line.

import { requestState } from "./batches.js";
import { el, mirror, setAttribute, setState, setText, show } from "./dom.js";
import { integer, utc } from "./format.js";

/** @typedef {import("./wire.js").RequestRow} RequestRow */

const HEADINGS = [["Line", "num"], ["custom_id", ""], ["Status", ""], ["Finish", ""], ["Tokens in", "num"], ["Tokens out", "num"], ["Took", "num"], ["Attempts", "num"], ["Error", ""]];

/** @param {HTMLElement} place */
export function createRequestTable(place) {
  const body = el("tbody");
  const head = el("tr", {}, ...HEADINGS.map(([word, kind]) => el("th", { scope: "col", class: kind || null }, word)));
  const table = el("table", { class: "dense" }, el("thead", {}, head), body);
  place.append(table);
  return {
    /** @param {RequestRow[]} rows */
    update(rows) {
      mirror(body, rows, (row) => String(row.line), createRow);
      show(table, rows.length > 0);
    },
  };
}

/** @returns {import("./dom.js").View} */
function createRow() {
  const cells = HEADINGS.map(([, kind]) => el("td", { class: kind || null }));
  const [line, customId, status, finish, input, output, took, attempts, error] = cells;
  const state = el("span");
  status.append(state);
  customId.classList.add("mono", "break");
  error.classList.add("mono");
  return {
    node: el("tr", {}, ...cells),
    /** @param {RequestRow} row */
    update(row) {
      setText(line, integer(row.line));
      setText(customId, row.custom_id);
      setState(state, requestState(row.status));
      setText(finish, row.finish_reason ?? "");
      setText(input, row.input_tokens ? integer(row.input_tokens) : "");
      setText(output, row.output_tokens ? integer(row.output_tokens) : "");
      setText(took, latency(row));
      setAttribute(took, "title", utc(row.finished_at) || null);
      setText(attempts, row.attempts ? integer(row.attempts) : "");
      setText(error, row.error_code ?? "");
    },
  };
}

/** @param {RequestRow} row */
function latency({ started_at: start, finished_at: end }) {
  return start == null || end == null ? "" : `${Math.max(0, end - start).toFixed(1)} s`;
}
