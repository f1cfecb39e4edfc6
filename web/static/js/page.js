// What every page has: icons in the markup, the theme button of the bar, an address that says where one is.

import { byId, placeIcons, setAttribute } from "./dom.js";
import { icon } from "./icons.js";

const THEMES = /** @type {const} */ ({
  system: { icon: "half", next: "light" },
  light: { icon: "sun", next: "dark" },
  dark: { icon: "moon", next: "system" },
});

placeIcons(document);
document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
showTheme(currentTheme());
byId("theme").addEventListener("click", () => setTheme(THEMES[currentTheme()].next));

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

/** Puts where one is into the address. The same thing pressed twice makes one step for the way back, not two.
 * @param {string} query @param {"push" | "replace"} [how] */
export function visit(query, how = "push") {
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
