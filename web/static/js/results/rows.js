// The requests of a batch: the filters and what they are, the table (a heading sorts), the pager, the export
// of just these.

import { bindDownload } from "../shared/api.js";
import { batchPath, requestState } from "../shared/batches.js";
import { byId, el, icon, reconcile, setAttribute, setState, setText, show } from "../shared/dom.js";
import { integer, plural, secondsText, utc } from "../shared/format.js";
import { createNotice, messageOf } from "../shared/page.js";
import { chipsOf, filterQuery, hitIn, isFiltered } from "../shared/row_query.js";

/** @typedef {import("../shared/wire.js").RequestRow} RequestRow */
/** @typedef {import("../shared/wire.js").AnswerRow} AnswerRow */
/**
 * @typedef {{ open: (line: number) => void, sort: (first: string) => void, addressOf: (line: number) =>
 * string }} TableActions `sort`: the first order of a heading
 */
/** @typedef {import("../shared/row_query.js").Place} Place */
/** @typedef {(to: Place, how?: "push" | "replace") => void} Go */

const TYPING_PAUSE_MS = 250;
const notice = createNotice({ closable: true });
/** @type {ReturnType<typeof setTimeout> | undefined} */
let typing;

/** @param {() => Place} place @param {Go} go */
export function listenToFilters(place, go) {
  /** What was typed a moment ago counts already.
   * @param {Partial<Place>} change @param {"push" | "replace"} [how] */
  const change = (change, how) => {
    clearTimeout(typing);
    typing = undefined;
    go(
      {
        ...place(),
        offset: 0,
        after: 0,
        line: null,
        text: byId("search").value,
        customId: byId("custom-id").value,
        ...change,
      },
      how,
    );
  };
  for (const id of ["search", "custom-id"]) {
    byId(id).addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => change({}, "replace"), TYPING_PAUSE_MS);
    });
    byId(id).addEventListener("change", () => typing !== undefined && change({}, "replace")); // left before the pause
  }
  byId("request-status").addEventListener("change", () => change({ status: byId("request-status").value }));
  byId("sort").addEventListener("change", () => change({ sort: byId("sort").value }));
  byId("clear").addEventListener("click", () =>
    change({ status: "", code: "", customId: "", text: "", where: [] }),
  );
}

/** Shows what is asked for, and binds the export to it. What is being typed stays.
 * @param {string} batchId @param {Place} place @param {Go} go */
export function drawFilters(batchId, place, go) {
  const fields = { search: place.text, "custom-id": place.customId, "request-status": place.status };
  for (const [id, value] of Object.entries(fields)) {
    if (typing === undefined && byId(id).value !== value) byId(id).value = value;
  }
  byId("sort").value = [...byId("sort").options].some(
    (/** @type {HTMLOptionElement} */ one) => one.value === place.sort,
  )
    ? place.sort
    : "line";
  show(byId("chips"), isFiltered(place));
  reconcile(
    byId("chip-list"),
    chipsOf(place).map((chip) => ({ chip, go })),
    ({ chip }) => chip.key,
    createChip,
  );
  for (const format of ["csv", "jsonl"]) {
    const asked = new URLSearchParams([...filterQuery(place), ["sort", place.sort], ["format", format]]);
    bindDownload(
      byId(`export-${format}`),
      `${batchPath(batchId)}/export?${asked}`,
      `${batchId}_answers.${format}`,
      (error) => notice.say("bad", messageOf(error)),
    );
  }
}

/** @returns {import("../shared/dom.js").View} */
function createChip() {
  const label = el("span", { class: "muted" });
  const value = el("b");
  const button = el("button", { type: "button" }, label, " ", value, icon("cross"));
  /** @type {{ chip: import("../shared/row_query.js").Chip, go: Go }} */
  let now;
  button.addEventListener("click", () => now.go({ ...now.chip.without, offset: 0, after: 0, line: null }));
  return {
    node: el("li", {}, button),
    /** @param {typeof now} item */
    update(item) {
      now = item;
      setText(label, item.chip.label);
      setText(value, item.chip.value);
      button.title = "Remove this filter";
    },
  };
}

/** @param {Place} place @param {import("./batch.js").Rows} rows @param {import("../shared/wire.js").Batch} batch */
export function drawRows(place, rows, batch) {
  drawPager(place, rows);
  drawNote(rows, batch);
  show(byId("requests-empty"), rows.data.length === 0);
  setText(
    byId("requests-count"),
    rows.total === null ? "" : plural(rows.total, "request") + (isFiltered(place) ? " match" : ""),
  );
  const answered = batch.request_counts.completed + batch.request_counts.failed > 0;
  show(byId("exports"), answered && rows.data.length > 0 && !["pending", "running"].includes(place.status));
  setText(
    byId("export-word"),
    isFiltered(place)
      ? `Export ${rows.source === "answers" && rows.total !== null ? `these ${integer(rows.total)}` : "these answers"}`
      : "Export all answers",
  );
}

/** @param {Place} place @param {import("./batch.js").Rows} rows */
function drawPager(place, rows) {
  const isAnswers = rows.source === "answers";
  const hasMore = isAnswers ? place.offset + rows.data.length < (rows.total ?? 0) : Boolean(rows.has_more);
  const isFirst = isAnswers ? place.offset === 0 : place.after === 0;
  show(byId("requests-pager"), rows.data.length > 0 || !isFirst);
  for (const id of ["first", "previous", "next"]) show(byId(id), hasMore || !isFirst);
  show(byId("previous"), isAnswers && (hasMore || !isFirst));
  byId("next").disabled = !hasMore;
  byId("previous").disabled = isFirst;
  byId("first").disabled = isFirst;
  const [from, to] = isAnswers
    ? [place.offset + 1, place.offset + rows.data.length]
    : [rows.data[0]?.line ?? 0, rows.data.at(-1)?.line ?? 0];
  setText(
    byId("range"),
    rows.data.length === 0
      ? ""
      : isAnswers
        ? `${integer(from)} – ${integer(to)} of ${integer(rows.total)}`
        : `lines ${integer(from)} – ${integer(to)}`,
  );
}

/** What is not among the rows, and why.
 * @param {import("./batch.js").Rows} rows @param {import("../shared/wire.js").Batch} batch */
function drawNote({ source, indexed = 0, complete }, { request_counts: counts }) {
  const answered = counts.completed + counts.failed;
  const unanswered = counts.total - answered;
  const isBehind = source === "answers" && complete === false;
  const text = isBehind
    ? `${integer(indexed)} of ${integer(answered)} answers are read so far; more follow.`
    : source === "answers" && unanswered > 0
      ? `Answered requests only: ${plural(unanswered, "request")} without an answer cannot be sorted or searched.`
      : "";
  setText(byId("rows-note"), text);
  show(byId("rows-note"), text !== "");
}

const COLUMNS = [
  { id: "line", word: "Line", kind: "num", sorts: "line" },
  { id: "custom_id", word: "custom_id", kind: "", sorts: "custom_id" },
  { id: "status", word: "Status", kind: "", sorts: "status" },
  { id: "answer", word: "Answer", kind: "wide", sorts: "" },
  { id: "finish", word: "Finish", kind: "", sorts: "finish_reason" },
  { id: "input", word: "Tokens in", kind: "num", sorts: "-input_tokens" },
  { id: "output", word: "Tokens out", kind: "num", sorts: "-output_tokens" },
  { id: "took", word: "Took", kind: "num", sorts: "-seconds" },
  { id: "attempts", word: "Attempts", kind: "num", sorts: "-attempts" },
];

/** @param {HTMLElement} place @param {TableActions} actions */
export function createRequestTable(place, actions) {
  const body = el("tbody");
  const heads = COLUMNS.map((column) => createHead(column, actions));
  const table = el(
    "table",
    { class: "dense requests" },
    el("thead", {}, el("tr", {}, ...heads.map(({ node }) => node))),
    body,
  );
  body.addEventListener("click", (/** @type {MouseEvent} */ event) => openClicked(event, actions));
  place.append(table);
  return {
    /** @param {(RequestRow | AnswerRow)[]} rows @param {{ sort: string, text: string }} question */
    update(rows, { sort, text }) {
      reconcile(
        body,
        rows.map((row) => ({ row, searched: text })),
        ({ row }) => String(row.line),
        () => createRow(actions),
      );
      for (const head of heads) head.update(sort);
      show(table, rows.length > 0);
    },
    /** @param {number | null} line the one that is open */
    mark(line) {
      for (const row of body.children)
        setAttribute(row, "aria-current", row.dataset.line === String(line) ? "true" : null);
    },
    /** @param {number} line */
    focus(line) {
      body.querySelector(`[data-line="${line}"] a`)?.focus();
    },
    /** @param {1 | -1} step moves the focus from row to row */
    move(step) {
      const links = [...body.querySelectorAll("a")];
      const here = links.indexOf(document.activeElement);
      links[Math.min(links.length - 1, Math.max(0, here < 0 ? 0 : here + step))]?.focus();
    },
  };
}

/** @param {typeof COLUMNS[number]} column @param {TableActions} actions */
function createHead({ word, kind, sorts }, actions) {
  const name = sorts.replace("-", "");
  const button = el("button", { type: "button", class: "sort" }, word);
  const node = el("th", { scope: "col", class: kind || null }, sorts ? button : word);
  button.addEventListener("click", () => actions.sort(sorts));
  return {
    node,
    /** @param {string} sort */
    update(sort) {
      const isOurs = sorts !== "" && sort.replace("-", "") === name;
      setAttribute(node, "aria-sort", isOurs ? (sort.startsWith("-") ? "descending" : "ascending") : null);
    },
  };
}

/** A click anywhere in a row opens it, unless it selects text or asks for a new tab.
 * @param {MouseEvent} event @param {TableActions} actions */
function openClicked(event, actions) {
  const row = /** @type {HTMLElement | null} */ (
    /** @type {Element} */ (event.target).closest("tr[data-line]")
  );
  if (!row || event.ctrlKey || event.metaKey || event.shiftKey || getSelection()?.type === "Range") return;
  event.preventDefault();
  actions.open(Number(row.dataset.line));
}

/** @param {TableActions} actions @returns {import("../shared/dom.js").View} */
function createRow(actions) {
  const cells = Object.fromEntries(
    COLUMNS.map(({ id, word, kind }) => [
      id,
      el("td", { class: `${kind} c-${id}`.trim(), "data-label": word }),
    ]),
  );
  const state = el("span");
  const link = el("a", { class: "mono" });
  const code = el("b", { class: "bad-text mono" });
  const words = el("span");
  const answer = el("span", { class: "clip" }, code, words);
  cells.status.append(state);
  cells.custom_id.append(link);
  cells.answer.append(answer);
  const node = el("tr", {}, ...Object.values(cells));
  return {
    node,
    /** @param {{ row: RequestRow | AnswerRow, searched: string }} item */
    update({ row, searched }) {
      setAttribute(node, "data-line", String(row.line));
      setText(cells.line, integer(row.line));
      setText(link, row.custom_id);
      setAttribute(link, "href", actions.addressOf(row.line));
      setState(state, requestState(row.status));
      setText(code, row.error_code ? `${row.error_code} ` : "");
      showWords(words, "text" in row ? row.text : "", searched);
      setText(cells.finish, row.finish_reason ?? "");
      setText(cells.input, row.input_tokens ? integer(row.input_tokens) : "");
      setText(cells.output, row.output_tokens ? integer(row.output_tokens) : "");
      setText(cells.took, took(row));
      setAttribute(cells.took, "title", "finished_at" in row ? utc(row.finished_at) || null : null);
      setText(cells.attempts, row.attempts ? integer(row.attempts) : "");
    },
  };
}

/** @param {HTMLElement} place @param {string} text @param {string} searched */
function showWords(place, text, searched) {
  const [before, hit, after] = hitIn(text, searched);
  if (place.textContent === before + hit + after && (hit === "") === (place.firstElementChild === null))
    return;
  place.replaceChildren(...(hit ? [before, el("mark", {}, hit), after] : [text]));
}

/** @param {RequestRow | AnswerRow} row */
function took(row) {
  const seconds =
    "seconds" in row
      ? row.seconds
      : row.started_at == null || row.finished_at == null
        ? null
        : Math.max(0, row.finished_at - row.started_at);
  return seconds === null ? "" : secondsText(seconds);
}
