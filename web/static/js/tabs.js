// A row of tabs: one stop for the Tab key, arrows move between them, the chosen one is kept in the page's address.

import { byId, el, setAttribute, setText } from "./dom.js";
import { integer } from "./format.js";

/**
 * @param {HTMLElement} list @param {{ id: string, word: string }[]} tabs
 * @param {{ panel: string, choose: (id: string) => void }} options
 */
export function createTabs(list, tabs, { panel, choose }) {
  const buttons = tabs.map(({ id, word }) => {
    const count = el("span", { class: "count" });
    const button = el("button", { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": panel }, word, count);
    button.addEventListener("click", () => choose(id));
    return { id, button, count };
  });
  list.replaceChildren(...buttons.map(({ button }) => button));
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const here = buttons.findIndex(({ button }) => button === document.activeElement);
    const next = { Home: 0, End: buttons.length - 1 }[event.key] ?? (step && (here + step + buttons.length) % buttons.length);
    if (next === undefined || here < 0) return;
    event.preventDefault();
    buttons[next].button.focus();
    choose(buttons[next].id);
  });
  return {
    /** @param {string} chosen */
    select(chosen) {
      for (const { id, button } of buttons) {
        setAttribute(button, "aria-selected", String(id === chosen));
        setAttribute(button, "tabindex", id === chosen ? null : "-1");
      }
      setAttribute(byId(panel), "aria-labelledby", `tab-${chosen}`);
    },
    /** @param {Record<string, number>} counts */
    count(counts) {
      for (const { id, count } of buttons) setText(count, counts[id] === undefined ? "" : integer(counts[id]));
    },
  };
}
