// A button that copies a text, and says that it did.

import { el, icon, setAttribute } from "./dom.js";

const SAID_MS = 1600;

/**
 * @param {string} label what is copied
 * @param {() => string} text asked for when pressed
 * @param {{ word?: string, look?: string }} [options] a word beside the icon, another icon
 * @returns {HTMLButtonElement} */
export function createCopyButton(label, text, { word = "", look = "copy" } = {}) {
  const button = el(
    "button",
    { type: "button", class: `quiet copy${word ? "" : " icon-only"}`, "aria-label": label, title: label },
    icon(look),
    word,
  );
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  button.addEventListener("click", async () => {
    const done = await copy(text(), button);
    button.firstElementChild.replaceWith(icon(done ? "check" : "warning"));
    setAttribute(button, "aria-label", done ? "Copied" : "Could not copy");
    clearTimeout(timer);
    timer = setTimeout(() => {
      button.firstElementChild.replaceWith(icon(look));
      setAttribute(button, "aria-label", label);
    }, SAID_MS);
  });
  return button;
}

/** The clipboard is for secure origins alone; over plain http from another machine the old way works.
 * @param {string} text @param {HTMLElement} beside where a helper may stand (a dialog makes all else inert) */
async function copy(text, beside) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const helper = el("textarea", { class: "visually-hidden", "aria-hidden": "true", tabindex: "-1" });
    helper.value = text;
    beside.after(helper);
    helper.select();
    const done = document.execCommand("copy");
    helper.remove();
    beside.focus();
    return done;
  }
}
