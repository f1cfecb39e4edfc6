// What pages have around their content: header, theme, notices, tabs, and what a person has chosen for all pages.
// Importing it changes nothing; each page calls `startPage` once.

import { forgetDecline, onDemand } from "./api.js";
import { byId, el, icon, placeIcons, setAttribute, setText, show } from "./dom.js";
import { integer } from "./format.js";

const THEMES = /** @type {const} */ ({
  system: { icon: "half", next: "light" },
  light: { icon: "sun", next: "dark" },
  dark: { icon: "moon", next: "system" },
});

/** Draws the icons and the header's theme button, and shows the current page's link. */
export function startPage() {
  placeIcons(document);
  document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  showTheme(currentTheme());
  byId("theme").addEventListener("click", () => setTheme(THEMES[currentTheme()].next));
}

/** @returns {keyof typeof THEMES} */
function currentTheme() {
  const theme = document.documentElement.dataset.theme;
  return theme === "light" || theme === "dark" ? theme : "system";
}

/** @param {keyof typeof THEMES} theme */
function setTheme(theme) {
  setAttribute(document.documentElement, "data-theme", theme === "system" ? null : theme);
  remember("batch-theme", theme);
  showTheme(theme);
}

/** @param {keyof typeof THEMES} theme */
function showTheme(theme) {
  const button = byId("theme");
  button.replaceChildren(icon(THEMES[theme].icon));
  setAttribute(button, "aria-label", `Theme: ${theme}`);
  setAttribute(button, "title", `Theme: ${theme}`);
}

/** Puts the state of the page into its URL. The same thing pressed twice makes one step for the way back, not two.
 * @param {string} query @param {"push" | "replace"} [how] */
export function setUrl(query, how = "push") {
  if (how === "push" && query !== location.search) history.pushState(null, "", query);
  else history.replaceState(null, "", query);
}

/** Keeps a small choice of the person for the next visit.
 * @param {string} name @param {string} value */
export function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // Storage can be forbidden; the choice then lasts as long as the page.
  }
}

/** @param {string} name */
export function remembered(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

const KEYS_STORED = "batch-keys";

export function keysAreOn() {
  return remembered(KEYS_STORED) !== "off";
}

/** Single keys get in the way of speech input; so they can be switched off, on all pages.
 * @param {boolean} on */
export function setKeys(on) {
  remember(KEYS_STORED, on ? "on" : "off");
}

/** Whether a key is for the page: not with Ctrl and the like, not while something is typed or asked, and a single
 * character only while those are on.
 * @param {KeyboardEvent} event @param {Element | null} [dialog] the open one that it is for instead */
export function isForPage(event, dialog = null) {
  const at = /** @type {Element} */ (event.target);
  const isTaken =
    at.closest("textarea, select, input:not([type=checkbox]), [contenteditable], [popover]") !== null;
  const isOther = event.ctrlKey || event.metaKey || event.altKey || event.isComposing;
  return (
    !isTaken &&
    !isOther &&
    document.querySelector("dialog[open]") === dialog &&
    (event.key.length > 1 || keysAreOn())
  );
}

/** @typedef {"ok" | "warn" | "bad" | ""} Tone */

/** Adds a hidden notice to #notices, which every page has.
 * @param {{ buttons?: HTMLElement[], closable?: boolean }} [options] */
export function createNotice({ buttons = [], closable = false } = {}) {
  const text = el("div");
  const close = el(
    "button",
    { type: "button", class: "quiet icon-only", "aria-label": "Close this message" },
    icon("cross"),
  );
  const end = el("span", { class: "end" }, ...buttons, closable && close);
  const node = el("div", { role: "status", hidden: true }, icon("info"), text, end.hasChildNodes() && end);
  close.addEventListener("click", () => show(node, false));
  byId("notices").append(node);
  return {
    /** What is said already is not said again: it would be read out again.
     * @param {Tone} tone @param {...(Node | string)} content */
    say(tone, ...content) {
      if (
        !node.hidden &&
        node.className === `notice ${tone}` &&
        content.every((one) => typeof one === "string") &&
        text.textContent === content.join("")
      )
        return;
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

/** A notice of what could not be read, with the way to try it again: whoever declined to give the key is asked again.
 * @param {() => void} tryAgain */
export function createTroubleNotice(tryAgain) {
  const button = el("button", { type: "button" }, icon("retry"), "Try again");
  button.addEventListener("click", () => {
    forgetDecline();
    tryAgain();
  });
  return createNotice({ buttons: [button] });
}

/** @param {string} text @returns {(string | Node)[]} the same words, with `make …` commands set as code */
export function withCommands(text) {
  return text.split(/(make [a-z-]+)/).map((part, index) => (index % 2 ? el("code", {}, part) : part));
}

/** @param {unknown} error */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * @param {HTMLElement} list @param {{ id: string, word: string }[]} tabs
 * @param {{ panel: string, choose: (id: string) => void }} options
 */
export function createTabs(list, tabs, { panel, choose }) {
  const buttons = tabs.map(({ id, word }) => {
    const count = el("span", { class: "count" });
    const button = el(
      "button",
      { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": panel },
      word,
      count,
    );
    button.addEventListener("click", () => choose(id));
    return { id, button, count };
  });
  list.replaceChildren(...buttons.map(({ button }) => button));
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const here = buttons.findIndex(({ button }) => button === document.activeElement);
    const next =
      { Home: 0, End: buttons.length - 1 }[event.key] ??
      (step && (here + step + buttons.length) % buttons.length);
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
      for (const { id, count } of buttons)
        setText(count, counts[id] === undefined ? "" : integer(counts[id]));
    },
  };
}

/** What can be done with a batch. The questions that come first are fetched when one is to be asked.
 * @param {{ changed: () => void }} page `changed`: the API has news @returns {import("./batch_rows.js").Actions} */
export function createLateActions(page) {
  const notice = createNotice({ closable: true });
  const failed = (/** @type {unknown} */ error) => notice.say("bad", messageOf(error));
  const fetchActions = onDemand(() =>
    import("./batch_actions.js").then(({ createBatchActions }) =>
      createBatchActions({ ...page, notice, failed }),
    ),
  );
  return {
    cancel: (batch) => void fetchActions().then((actions) => actions.cancel(batch), failed),
    retry: (batch) => void fetchActions().then((actions) => actions.retry(batch), failed),
    failed,
  };
}
