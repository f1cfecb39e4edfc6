// Shows the submission as code, in the language one asks for.

import { apiBase, storedKey } from "../shared/api.js";
import { createCopyButton } from "../shared/copy_button.js";
import { byId, el, setAttribute, setText } from "../shared/dom.js";
import { SAMPLES } from "./samples.js";

/** @typedef {Omit<import("./samples.js").Order, "apiUrl" | "hasKey">} Known */

/** Needs #code-kinds, #code-text and #code-copy on the page.
 * @param {() => Known} known what is filled in now */
export function createCodeSamples(known) {
  let chosen = SAMPLES[0];
  let apiUrl = "";
  const buttons = SAMPLES.map((sample) => {
    const button = el("button", { type: "button" }, sample.word);
    button.addEventListener("click", () => {
      chosen = sample;
      draw();
    });
    return button;
  });

  function draw() {
    for (const [index, sample] of SAMPLES.entries()) {
      setAttribute(buttons[index], "aria-pressed", String(sample === chosen));
    }
    setText(byId("code-text"), chosen.write({ ...known(), apiUrl, hasKey: storedKey() !== null }));
  }

  byId("code-kinds").append(...buttons);
  byId("code-copy").replaceWith(createCopyButton("Copy the code", () => byId("code-text").textContent ?? ""));
  void apiBase()
    .catch(() => `http://${location.hostname}:4080`)
    .then((found) => {
      apiUrl = found;
      draw();
    });
  return { draw };
}
