// Asks for the API's key. One dialog at a time, however many calls need the key.

import { el } from "./dom.js";

/** @type {Promise<string | null> | undefined} */
let asking;

/** @param {string} message @returns {Promise<string | null>} the key, or null when the person declined */
export function askForKey(message) {
  asking ??= open(message).finally(() => {
    asking = undefined;
  });
  return asking;
}

/** @param {string} message @returns {Promise<string | null>} */
function open(message) {
  const input = el("input", {
    type: "password",
    id: "api-key",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
  });
  const later = el("button", { type: "button" }, "Not now");
  const dialog = el(
    "dialog",
    { "aria-labelledby": "key-title" },
    el(
      "form",
      { method: "dialog" },
      el("h2", { id: "key-title" }, "API key"),
      el("p", {}, `${message} Enter the value of BATCH_API_KEY; it stays in this browser tab.`),
      el("div", { class: "field" }, el("label", { for: "api-key" }, "Key"), input),
      el("div", { class: "row" }, later, el("button", { value: "use", class: "primary" }, "Use this key")),
    ),
  );
  later.addEventListener("click", () => dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  input.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "use" ? input.value.trim() : null);
      dialog.remove();
    });
  });
}
