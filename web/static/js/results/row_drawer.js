// The drawer that shows one row of a batch over the list: opened, stepped through and closed by keys or buttons.

import { callJson, isRefused } from "../shared/api.js";
import { batchPath, requestState } from "../shared/batches.js";
import { createCopyButton } from "../shared/copy_button.js";
import { el, icon, setAttribute, setState, setText, show } from "../shared/dom.js";
import { integer } from "../shared/format.js";
import { isForPage, messageOf } from "../shared/page.js";
import { rowParts } from "./row_view.js";

/** @typedef {import("../shared/wire.js").AnswerDetail} AnswerDetail */
/**
 * @typedef {{ step: (to: 1 | -1) => void, closed: () => void, read: () => void, failed: () => void, link: ()
 * => string }} DrawerActions `read`: another row is shown, its neighbours are known; `failed`: it waits for a
 * `refresh` that may help
 */

const STEPS = /** @type {Record<string, 1 | -1>} */ ({ j: 1, ArrowRight: 1, k: -1, ArrowLeft: -1 });
const OPEN_STATES = ["pending", "running"];

/** @param {string} batchId @param {DrawerActions} actions */
export function createRowDrawer(batchId, actions) {
  const at = createFrame({ ...actions, closed });
  /** @type {AnswerDetail | null} */
  let detail = null;
  /** The line to be shown: the detail's, or that of the one being read.
   * @type {number | null} */
  let wanted = null;
  /** Why the wanted line could not be read; "" when it could, or nobody knows yet. */
  let problem = "";
  let reading = new AbortController();

  async function read(/** @type {number} */ line) {
    reading.abort();
    reading = new AbortController();
    const { signal } = reading;
    at.body.setAttribute("aria-busy", "true");
    try {
      const found = await callJson(`${batchPath(batchId)}/answers/${line}`, { signal });
      if (!signal.aborted) draw(found);
    } catch (error) {
      if (!signal.aborted) fail(line, error);
    }
    if (!signal.aborted) at.body.removeAttribute("aria-busy");
  }

  function stopReading() {
    reading.abort();
    at.body.removeAttribute("aria-busy");
  }

  /** What is opened again is read again. */
  function closed() {
    if (at.dialog.open) return; // opened again before the browser told of its end
    stopReading();
    detail = wanted = null;
    problem = "";
    actions.closed();
  }

  function draw(/** @type {AnswerDetail} */ found) {
    problem = "";
    if (JSON.stringify(found) === JSON.stringify(detail)) return; // focus, selection and open parts stay
    const isNew = detail?.line !== found.line;
    detail = found;
    setText(at.title, found.custom_id);
    setText(at.line, `line ${integer(found.line)}`);
    setState(at.state, requestState(found.status));
    setText(at.said, `Line ${found.line}, ${found.status}`);
    at.body.replaceChildren(...rowParts(found));
    if (isNew) at.body.scrollTop = 0;
    actions.read();
  }

  /** What is said already is not said again: it would be read out again.
   * @param {number} line @param {unknown} error */
  function fail(line, error) {
    if (!isRefused(error)) actions.failed();
    if (problem === messageOf(error)) return;
    problem = messageOf(error);
    detail = null;
    setText(at.title, `Line ${line}`);
    setText(at.line, "");
    show(at.state, false);
    at.body.replaceChildren(el("p", { class: "drawer-part bad-text", role: "alert" }, problem));
  }

  return {
    /** Opens the drawer, or changes what an open one shows.
     * @param {number} line */
    show(line) {
      if (!at.dialog.open) at.dialog.showModal();
      if (line === wanted && detail !== null) return;
      wanted = line;
      problem = "";
      if (detail?.line === line) stopReading();
      else void read(line);
    },
    /** Reads again what could not be read, or had no answer yet. */
    refresh() {
      if (!at.dialog.open || wanted === null) return;
      const isUnanswered = detail?.line === wanted && OPEN_STATES.includes(detail.status);
      if (problem !== "" || isUnanswered) void read(wanted);
    },
    hide() {
      if (at.dialog.open) at.dialog.close();
    },
    /** The lines beside the shown one in the file. */
    neighbours() {
      return { previous: detail?.previous ?? null, next: detail?.next ?? null };
    },
    /** @param {{ previous: boolean, next: boolean, where: string }} ways */
    allow({ previous, next, where }) {
      at.previous.disabled = !previous;
      at.next.disabled = !next;
      setText(at.where, where);
    },
  };
}

/** @param {DrawerActions} actions @returns {Record<string, any>} */
function createFrame(actions) {
  const at = {
    title: el("h2", { id: "row-title", tabindex: "-1", autofocus: true, class: "mono break" }),
    line: el("span", { class: "muted small nowrap" }),
    state: el("span", { hidden: true }),
    where: el("span", { class: "muted small nowrap" }),
    said: el("p", { class: "visually-hidden", role: "status" }),
    previous: button("back", "Previous row (k or ←)"),
    next: button("forward", "Next row (j or →)"),
    close: button("cross", "Close (Esc)"),
    body: el("div", { class: "drawer-body", tabindex: "0", role: "region", "aria-labelledby": "row-title" }),
  };
  const link = createCopyButton("Copy a link to this row", actions.link, { look: "link" });
  const head = el(
    "div",
    { class: "drawer-head" },
    el(
      "div",
      { class: "drawer-name" },
      at.title,
      el("p", { class: "drawer-facts" }, at.state, at.line, at.where),
    ),
    el("span", { class: "end" }, at.previous, at.next, link, at.close),
  );
  const dialog = el("dialog", { class: "drawer", "aria-labelledby": "row-title" }, head, at.said, at.body);
  document.body.append(dialog);
  at.previous.addEventListener("click", () => actions.step(-1));
  at.next.addEventListener("click", () => actions.step(1));
  at.close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", actions.closed);
  dialog.addEventListener("click", (/** @type {Event} */ event) => event.target === dialog && dialog.close());
  dialog.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) =>
    stepByKey(event, dialog, actions),
  );
  return { ...at, dialog };
}

/** @param {string} name @param {string} label */
function button(name, label) {
  const node = el(
    "button",
    { type: "button", class: "quiet icon-only", "aria-label": label, title: label },
    icon(name),
  );
  setAttribute(node, "aria-keyshortcuts", { back: "k ArrowLeft", forward: "j ArrowRight" }[name] ?? "Escape");
  return node;
}

/** @param {KeyboardEvent} event @param {HTMLElement} dialog @param {DrawerActions} actions */
function stepByKey(event, dialog, actions) {
  const step = STEPS[event.key];
  if (step === undefined || event.shiftKey || !isForPage(event, dialog)) return;
  event.preventDefault();
  actions.step(step);
}
