// The requests side by side: of each what differs, its words marked. What marks words and what an open row has besides
// are fetched when needed.

import { onDemand } from "../shared/api.js";
import { markOf } from "../shared/batch_picker.js";
import { el, icon, setAttribute } from "../shared/dom.js";
import { integer, plural } from "../shared/format.js";
import { messageOf } from "../shared/page.js";
import {
  ANSWER,
  direction,
  excerpts,
  linesOf,
  merged,
  sideOf,
  signed,
  toneOf,
  trimmed,
  word,
} from "./differences.js";

/** @typedef {import("../shared/wire.js").ComparedRow} ComparedRow */
/** @typedef {import("./opened_row.js").Opened} Opened */
/** @typedef {import("./differences.js").Line} Line */
/**
 * @typedef {{ batches: string[], names: string[], field: import("../shared/wire.js").Field | undefined, open:
 * string }} View
 */
/**
 * @typedef {{ pair: [string, string], before: HTMLElement | null, after: HTMLElement, around: { before:
 * boolean, after: boolean }[], most: number }} Job `before` null: removed words are shown beside the added
 * ones
 */

const LINES = 4;
const CHARACTERS = 420;
const FULL_CHARACTERS = 20_000;
const MARKS = 3; // of a text in the list, so that a page of rows stays small
const FULL_MARKS = 120;
const SHORT = 28;

/** @param {HTMLTableElement} table @param {{ toggle: (customId: string) => void }} on */
export function createRows(table, { toggle }) {
  const fetchOpen = onDemand(() => import("./opened_row.js"));
  const fetchDiffs = onDemand(() => import("./word_diffs.js").then(({ createDiffs }) => createDiffs()));
  /** @type {Map<string, HTMLElement>} */
  let bodies = new Map();
  /** @type {ComparedRow[]} */
  let shown = [];
  let opened = "";

  /** @param {ComparedRow} row @param {View} view @param {Opened} [open] @param {string} [problem] */
  function place(row, view, open, problem) {
    const { node, jobs } = body(row, view, open, problem);
    node.querySelector("button")?.addEventListener("click", () => toggle(row.custom_id));
    const old = bodies.get(row.custom_id);
    const hadFocus = old?.contains(document.activeElement);
    bodies.set(row.custom_id, node);
    if (old) old.replaceWith(node);
    if (hadFocus) node.querySelector("button")?.focus({ preventScroll: true });
    return { node, jobs };
  }

  /** Marks the words that differ; without what finds them the texts stay as they are.
   * @param {Job[]} jobs */
  async function compare(jobs) {
    const diff = jobs.length > 0 ? await fetchDiffs().catch(() => null) : null;
    if (!diff) return;
    const found = await diff(jobs.map(({ pair }) => pair));
    for (const [index, job] of jobs.entries())
      if (found[index] && job.after.isConnected) fill(job, merged(found[index]));
  }

  /** @param {ComparedRow} row @param {View} view */
  async function readFully(row, view) {
    const still = () => opened === row.custom_id && shown.includes(row);
    try {
      const { readOpened } = await fetchOpen();
      const open = await readOpened(row, view.batches, { label, textLine });
      if (still()) void compare(place(row, view, open).jobs);
    } catch (error) {
      if (still()) void compare(place(row, view, undefined, messageOf(error)).jobs);
    }
  }

  return {
    /** @param {ComparedRow[]} rows @param {View} view */
    show(rows, view) {
      table.querySelector("thead")?.replaceWith(head(view));
      setAttribute(table, "class", `compare sides-${view.batches.length}`);
      const focused = [...bodies].find(([, node]) => node.contains(document.activeElement))?.[0];
      [bodies, shown] = [new Map(), rows];
      const made = rows.map((row) => place(row, { ...view, open: "" }));
      for (const old of [...table.tBodies]) old.remove();
      table.append(...made.map(({ node }) => node));
      if (focused) bodies.get(focused)?.querySelector("button")?.focus({ preventScroll: true });
      void compare(made.flatMap(({ jobs }) => jobs));
      opened = "";
      this.open(view);
    },
    /** Shows the row that `view` names in full, and the one before shortly again.
     * @param {View} view */
    open(view) {
      if (view.open === opened) return;
      const old = shown.find(({ custom_id: id }) => id === opened);
      const row = shown.find(({ custom_id: id }) => id === view.open);
      opened = row ? view.open : "";
      if (old) void compare(place(old, view).jobs);
      if (!row) return;
      place(row, view);
      void readFully(row, view);
    },
  };
}

/** @param {View} view */
function head({ names }) {
  const sides = names.map((name, side) =>
    el(
      "th",
      { scope: "col" },
      markOf(side),
      el("span", { class: "break" }, `${side === 0 ? "Baseline" : "Contender"} · ${name}`),
    ),
  );
  return el(
    "thead",
    {},
    el("tr", {}, el("th", { scope: "col" }, "Request"), el("th", { scope: "col" }, "Field"), ...sides),
  );
}

/** One request: a line for the chosen field, one for each other that differs, else one for the answer.
 * @param {ComparedRow} row @param {View} view @param {Opened} [open] @param {string} [problem] */
function body(row, view, open, problem) {
  const isOpen = view.open === row.custom_id;
  const full = open
    ? {
        ...row,
        answers: row.answers.map(
          (answer, side) => answer && { ...answer, text: open.texts[side] ?? answer.text },
        ),
      }
    : row;
  const chosen = isShort(row) ? view.field : undefined;
  const first = view.field?.path;
  const lines = linesOf(full).filter(({ label, isField }) => !(isField && label === chosen?.path));
  lines.sort((one, two) => Number(two.label === first) - Number(one.label === first));
  const kept = isOpen ? lines : lines.slice(0, LINES);
  /** @type {Job[]} */
  const jobs = [];
  const cells = kept.map((line) => textLine(line, row, isOpen, jobs));
  if (chosen) cells.unshift(valueLine(chosen, row));
  if (open) cells.push(...open.lines(kept, jobs));
  if (isOpen && !open)
    cells.push([
      el("th", { scope: "row" }),
      el(
        "td",
        { colspan: String(row.answers.length), class: problem ? "bad-text" : "muted" },
        problem ?? "Reading …",
      ),
    ]);
  const lead = request(row, isOpen, lines.length - kept.length, cells.length);
  const node = el(
    "tbody",
    { class: isOpen ? "open" : null },
    ...cells.map((line, index) => el("tr", {}, index === 0 && lead, ...line)),
  );
  return { node, jobs };
}

/** Whether the chosen field is there, with values to be read at one look; a text is compared like any other.
 * @param {ComparedRow} row */
function isShort({ answers }) {
  const values = answers.flatMap((answer) => (answer?.value == null ? [] : [word(answer.value)]));
  return values.length > 0 && values.every((value) => value.length <= SHORT);
}

/**
 * @param {ComparedRow} row
 * @param {boolean} isOpen
 * @param {number} left lines not shown
 * @param {number} height in lines
 */
function request({ custom_id: customId, answers }, isOpen, left, height) {
  const button = el(
    "button",
    {
      type: "button",
      class: "disclose mono",
      "aria-expanded": String(isOpen),
      title: isOpen ? "Show less" : "Show all of it",
    },
    icon("forward"),
    el("span", { class: "break" }, customId),
  );
  const tokens = answers.map((answer) => (answer ? integer(answer.output_tokens) : "–")).join(" → ");
  return el(
    "th",
    { scope: "rowgroup", rowspan: String(height), class: "request" },
    button,
    el("span", { class: "small muted num" }, `${tokens} tokens`),
    left > 0 &&
      el(
        "span",
        { class: "small muted" },
        `+ ${plural(left, "more field")} ${left === 1 ? "differs" : "differ"}`,
      ),
  );
}

/** @param {import("../shared/wire.js").Field} field @param {ComparedRow} row @returns {HTMLElement[]} */
function valueLine({ path, is_number: isNumber }, { answers }) {
  const baseline = answers[0]?.value;
  const cells = answers.map((answer, side) => {
    const value = answer?.value;
    if (!answer) return el("td", { class: "muted" }, "no answer");
    // The answer of the request says which error it was.
    if (value == null) return el("td", { class: "muted" }, answer.error_code ? "–" : "not there");
    if (!isNumber) return el("td", {}, verdict(value));
    const moved =
      side > 0 && typeof baseline === "number" && typeof value === "number" ? value - baseline : null;
    return el(
      "td",
      {},
      el("b", { class: "num" }, typeof value === "number" ? trimmed(value, 4) : word(value)),
      moved !== null &&
        moved !== 0 &&
        el("span", { class: `delta small ${direction(moved)}` }, signed(moved)),
    );
  });
  return [label(path), ...cells];
}

/** @param {any} value */
function verdict(value) {
  const text = word(value);
  const { tone, icon: sign } = toneOf(value);
  return el("span", { class: `state ${tone}` }, tone && icon(sign), text);
}

/** @param {string} code */
function errorState(code) {
  return el("span", { class: "state bad" }, icon("cross"), code);
}

/** @param {string} text */
export function label(text) {
  return el("th", { scope: "row", class: "field-name" }, el("span", { class: "break" }, text));
}

/**
 * @param {Line} line
 * @param {ComparedRow} row
 * @param {boolean} isOpen
 * @param {Job[]} jobs filled with what is to be compared
 */
export function textLine({ label: name, values, isField }, { answers }, isOpen, jobs) {
  const texts = values.map((value) => (value === undefined ? undefined : isField ? word(value) : value));
  const parts = excerpts(
    texts.map((text) => text ?? ""),
    isOpen ? FULL_CHARACTERS : CHARACTERS,
  );
  const isVerdict =
    isField &&
    texts.some((text) => text !== undefined && toneOf(text).tone) &&
    texts.every((text) => (text ?? "").length <= SHORT);
  const cells = texts.map((text, side) => {
    if (answers[side] === null)
      return el("td", { class: "muted" }, isField || name !== ANSWER ? "" : "no answer");
    if (text === undefined) return el("td", { class: "muted" }, "not there");
    const code = isField ? null : answers[side]?.error_code;
    const isAlike = side > 0 && text === texts[0];
    if (isVerdict) return el("td", {}, verdict(text));
    const content = isAlike
      ? el("span", { class: "muted alike" }, "the same")
      : el("div", { class: "answer" }, ...around(parts[side], [parts[side].text]));
    return el(
      "td",
      {},
      code && errorState(code),
      isField && isNumeric(values, side) ? changedNumber(values, side) : content,
    );
  });
  for (let side = 1; side < texts.length; side += 1) {
    // an error's words are no other wording of an answer
    const alike = !answers[0]?.error_code === !answers[side]?.error_code;
    if (isField || alike) addJob(jobs, cells, texts, parts, side, isOpen);
  }
  return [label(name), ...cells];
}

/** @param {any[]} values @param {number} side */
function isNumeric(values, side) {
  return (
    side > 0 &&
    typeof values[0] === "number" &&
    typeof values[side] === "number" &&
    values[0] !== values[side]
  );
}

/** @param {any[]} values @param {number} side */
function changedNumber(values, side) {
  const moved = values[side] - values[0];
  return el(
    "div",
    { class: "answer" },
    el("ins", {}, word(values[side])),
    " ",
    el("span", { class: `delta small ${direction(moved)}` }, signed(moved)),
  );
}

/**
 * @param {Job[]} jobs
 * @param {HTMLElement[]} cells
 * @param {(string | undefined)[]} texts
 * @param {ReturnType<typeof excerpts>} parts
 * @param {number} side
 * @param {boolean} isOpen
 */
function addJob(jobs, cells, texts, parts, side, isOpen) {
  const [before, after] = [texts[0], texts[side]];
  if (before === undefined || after === undefined || before === after) return;
  const [one, two] = [cells[0], cells[side]].map(
    (cell) => /** @type {HTMLElement | null} */ (cell.querySelector(".answer")),
  );
  if (!one || !two || two.querySelector("ins")) return;
  jobs.push({
    pair: [parts[0].text, parts[side].text],
    before: cells.length === 2 ? one : null,
    after: two,
    around: [parts[0], parts[side]],
    most: isOpen ? FULL_MARKS : MARKS,
  });
}

/** @param {Job} job @param {import("./differences.js").Piece[]} pieces */
function fill({ before, after, around: [one, two], most }, pieces) {
  before?.replaceChildren(...around(one, marked(sideOf(pieces, "removed", most))));
  after.replaceChildren(
    ...around(two, marked(before ? sideOf(pieces, "added", most) : pieces.slice(0, 2 * most))),
  );
}

/** @param {import("./differences.js").Piece[]} pieces */
function marked(pieces) {
  return pieces.flatMap(({ kind, text }) => {
    const words = text.trim();
    if (kind === "same" || !words) return [text];
    const start = text.indexOf(words);
    return [
      text.slice(0, start),
      el(kind === "added" ? "ins" : "del", {}, words),
      text.slice(start + words.length),
    ];
  });
}

/** @param {{ before: boolean, after: boolean }} part @param {(Node | string)[]} content */
function around({ before, after }, content) {
  return [before ? "… " : "", ...content, after ? " …" : ""];
}
