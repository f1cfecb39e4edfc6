// A line above the page's content that says what is wrong or what was done.

import { byId, el, show } from "./dom.js";
import { icon } from "./icons.js";

/** @typedef {"ok" | "warn" | "bad" | ""} Tone */

/** Adds a hidden notice to #notices, which every page has.
 * @param {{ buttons?: HTMLElement[], closable?: boolean }} [options] */
export function createNotice({ buttons = [], closable = false } = {}) {
  const text = el("div");
  const close = el("button", { type: "button", class: "quiet icon-only", "aria-label": "Close this message" }, icon("cross"));
  const end = el("span", { class: "end" }, ...buttons, closable && close);
  const node = el("div", { role: "status", hidden: true }, icon("info"), text, end.hasChildNodes() && end);
  close.addEventListener("click", () => show(node, false));
  byId("notices").append(node);
  return {
    /** @param {Tone} tone @param {...(Node | string)} content */
    say(tone, ...content) {
      node.className = `notice ${tone}`;
      node.firstElementChild?.replaceWith(icon(tone === "ok" ? "check" : tone === "" ? "info" : "warning"));
      text.replaceChildren(...content);
      show(node, true);
    },
    hide() {
      show(node, false);
    },
  };
}

/** @param {string} text @returns {(string | Node)[]} the same words, with `make …` commands set as code */
export function withCommands(text) {
  return text.split(/(make [a-z-]+)/).map((part, index) => (index % 2 ? el("code", {}, part) : part));
}

/** @param {unknown} error */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
