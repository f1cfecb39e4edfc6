// The dashboard's keys: `/` filters, `j` and `k` move from batch to batch, Enter opens (they are links), `?` explains.

import { remember, remembered } from "./page.js";

const STORED = "batch-keys";
const ROWS = ".job h3 a, td.name a";

export function keysAreOn() {
  return remembered(STORED) !== "off";
}

/** Single keys get in the way of speech input; so they can be switched off.
 * @param {boolean} on */
export function setKeys(on) {
  remember(STORED, on ? "on" : "off");
}

/** @param {{ filter: HTMLInputElement, help: () => void }} page */
export function listenToKeys({ filter, help }) {
  document.addEventListener("keydown", (event) => {
    if (event.target === filter && event.key === "Escape") return leave(filter, event);
    if (!isPlain(event) || !keysAreOn()) return;
    if (event.key === "?") help();
    else if (event.key === "/") filter.select();
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "x") press('input[type="checkbox"]');
    else if (event.key === "e") press("[aria-expanded][data-errors]");
    else return;
    event.preventDefault();
  });
}

/** A key for the page: not with Ctrl and the like, not while something is typed or asked.
 * @param {KeyboardEvent} event */
function isPlain(event) {
  const at = /** @type {Element} */ (event.target);
  const typed = at.matches("textarea, select, input:not([type=checkbox]), [contenteditable]");
  return !event.ctrlKey && !event.metaKey && !event.altKey && !event.isComposing && !typed && !document.querySelector("dialog[open]");
}

/** The first Escape empties the filter (the browser does), the next one leaves it.
 * @param {HTMLInputElement} filter @param {KeyboardEvent} event */
function leave(filter, event) {
  if (filter.value !== "") return;
  event.preventDefault();
  move(1);
}

/** Focus goes to the next batch that is shown, from wherever it is now; at the ends it stays.
 * @param {1 | -1} step */
function move(step) {
  const links = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(ROWS)].filter((link) => link.checkVisibility()));
  if (links.length === 0) return;
  const row = rowOf(document.activeElement);
  const here = links.findIndex((link) => rowOf(link) === row && row !== null);
  const next = links[here < 0 ? 0 : Math.min(links.length - 1, Math.max(0, here + step))];
  next.focus({ preventScroll: true });
  rowOf(next)?.scrollIntoView({ block: "nearest" });
}

/** @param {Element | null} node @returns {Element | null} */
function rowOf(node) {
  return node?.closest(".job, tbody tr") ?? null;
}

/** @param {string} selector of a control in the row that has the focus */
function press(selector) {
  const control = /** @type {HTMLElement | null | undefined} */ (rowOf(document.activeElement)?.querySelector(selector));
  if (control?.checkVisibility()) control.click();
}
