// A JSON value as a tree that opens branch by branch. A branch is made when it is first opened: size does not matter.

import { el } from "../shared/dom.js";
import { integer } from "../shared/format.js";

const AT_ONCE = 100;
const OPEN_DEPTH = 2;
const OPEN_UP_TO = 20;

/** @param {any} value @returns {HTMLElement} */
export function createJsonTree(value) {
  return el("div", { class: "tree mono" }, branch(null, value, 0));
}

/** @param {string | null} name @param {any} value @param {number} depth @returns {HTMLElement} */
function branch(name, value, depth) {
  if (typeof value !== "object" || value === null)
    return el("div", { class: "leaf" }, ...label(name), leaf(value));
  const entries = Array.isArray(value)
    ? value.map((one, index) => /** @type {[string, any]} */ ([String(index), one]))
    : Object.entries(value);
  if (entries.length === 0)
    return el("div", { class: "leaf" }, ...label(name), Array.isArray(value) ? "[]" : "{}");
  const node = el(
    "details",
    { open: depth < OPEN_DEPTH && entries.length <= OPEN_UP_TO },
    el("summary", {}, ...label(name), el("span", { class: "muted" }, sizeWords(value, entries.length))),
  );
  const grow = once(() => addEntries(node, entries, 0, depth));
  if (node.open) grow();
  else node.addEventListener("toggle", grow);
  return node;
}

/** @param {HTMLElement} parent @param {[string, any][]} entries @param {number} from @param {number} depth */
function addEntries(parent, entries, from, depth) {
  parent.append(...entries.slice(from, from + AT_ONCE).map(([name, one]) => branch(name, one, depth + 1)));
  const left = entries.length - from - AT_ONCE;
  if (left <= 0) return;
  const more = el("button", { type: "button", class: "quiet small" }, `${integer(left)} more`);
  more.addEventListener("click", () => {
    more.remove();
    addEntries(parent, entries, from + AT_ONCE, depth);
  });
  parent.append(more);
}

/** @param {any} value @param {number} size */
function sizeWords(value, size) {
  return Array.isArray(value) ? `[${integer(size)}]` : `{${integer(size)}}`;
}

/** @param {string | null} name */
function label(name) {
  return name === null ? [] : [el("span", { class: "key" }, name), el("span", { class: "muted" }, ": ")];
}

/** @param {any} value */
function leaf(value) {
  return el(
    "span",
    { class: value === null ? "muted" : typeof value },
    typeof value === "string" ? value : String(value),
  );
}

/** @param {() => void} act */
function once(act) {
  let done = false;
  return () => {
    if (!done) act();
    done = true;
  };
}
