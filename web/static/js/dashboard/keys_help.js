// The dialog that explains the keys and the words of the filter.

import { el } from "../shared/dom.js";
import { keysAreOn, setKeys } from "../shared/page.js";

const KEYS = [
  ["/", "filter the batches"],
  ["j", "next batch"],
  ["k", "previous batch"],
  ["Enter", "open it"],
  ["x", "select it"],
  ["e", "its errors"],
  ["?", "this help"],
];
const WORDS = [
  ["spring", "in the name, file, id or model"],
  ["status:failed", "in this state; running, queued, active …"],
  ["model:smollm", "of a model"],
  ['name:"two words"', "by name or file"],
  ["id:batch_7f", "by id"],
  ["-gemma", "without; before a qualifier, too"],
];

export function showKeysHelp() {
  if (document.querySelector("dialog[open]")) return;
  const on = el("input", { type: "checkbox", checked: keysAreOn() });
  on.addEventListener("change", () => setKeys(on.checked));
  const dialog = el(
    "dialog",
    { class: "keys-help", "aria-labelledby": "keys-title" },
    el(
      "form",
      { method: "dialog" },
      el("h2", { id: "keys-title" }, "Keys and filter"),
      el("div", { class: "two" }, list(KEYS, "kbd"), list(WORDS, "code")),
      el(
        "div",
        { class: "row" },
        el("label", { class: "check small muted" }, on, "Single keys are on"),
        el("button", { class: "primary", autofocus: true }, "Close"),
      ),
    ),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/** @param {string[][]} pairs @param {"kbd" | "code"} mark */
function list(pairs, mark) {
  return el(
    "dl",
    {},
    ...pairs.map(([word, meaning]) => el("div", {}, el("dt", {}, el(mark, {}, word)), el("dd", {}, meaning))),
  );
}
