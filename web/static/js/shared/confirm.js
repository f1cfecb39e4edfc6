// Asks before something is done that cannot be taken back.

import { el } from "./dom.js";

/** One question at a time: a second click before the dialog covers the page asks nothing.
 * @param {{ title: string, text: string, act: string, keep: string, danger?: boolean }} question
 * @returns {Promise<boolean>} whether the person said to act
 */
export function confirm({ title, text, act, keep, danger = false }) {
  if (document.querySelector("dialog[open]")) return Promise.resolve(false);
  const dialog = el(
    "dialog",
    { "aria-labelledby": "confirm-title", "aria-describedby": "confirm-text" },
    el(
      "form",
      { method: "dialog" },
      el("h2", { id: "confirm-title" }, title),
      el("p", { id: "confirm-text" }, text),
      el(
        "div",
        { class: "row" },
        el("button", { value: "keep", autofocus: true }, keep),
        el("button", { value: "act", class: danger ? "danger" : "primary" }, act),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "act");
      dialog.remove();
    });
  });
}
