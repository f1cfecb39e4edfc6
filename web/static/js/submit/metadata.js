// Pairs of words kept with a batch: a row for each, as many as the API takes.

import { byId, el, icon, show } from "../shared/dom.js";

const MAX_PAIRS = 15; // of 16; the name is one
const [MAX_KEY, MAX_VALUE] = [64, 512];

/** Needs #pairs and #add-pair on the page.
 * @param {{ changed: () => void }} page */
export function createMetadata({ changed }) {
  const list = byId("pairs");

  /** @param {string} name @param {string} value */
  function add(name, value) {
    const key = el("input", {
      type: "text",
      "aria-label": "Key",
      placeholder: "key",
      maxlength: String(MAX_KEY),
      autocomplete: "off",
      spellcheck: "false",
    });
    const word = el("input", {
      type: "text",
      "aria-label": "Value",
      placeholder: "value",
      maxlength: String(MAX_VALUE),
      autocomplete: "off",
    });
    const remove = el(
      "button",
      {
        type: "button",
        class: "quiet icon-only",
        "aria-label": "Remove this pair",
        title: "Remove this pair",
      },
      icon("cross"),
    );
    const row = el("li", {}, key, word, remove);
    key.value = name;
    word.value = value;
    row.addEventListener("input", changed);
    remove.addEventListener("click", () => {
      row.remove();
      byId("add-pair").focus();
      settle();
    });
    list.append(row);
    settle();
    return key;
  }

  function settle() {
    show(byId("add-pair"), list.children.length < MAX_PAIRS);
    show(list, list.children.length > 0);
    changed();
  }

  byId("add-pair").addEventListener("click", () => add("", "").focus());

  return {
    /** @returns {Record<string, string>} pairs with a key; of two with the same the later counts */
    value() {
      const rows = [...list.children].map((row) =>
        [...row.querySelectorAll("input")].map((input) => input.value.trim()),
      );
      return Object.fromEntries(rows.filter(([name]) => name !== "" && name !== "name"));
    },
    /** @param {Record<string, string>} pairs */
    set(pairs) {
      list.replaceChildren();
      for (const [name, value] of Object.entries(pairs)) if (name !== "name") add(name, value);
      settle();
    },
  };
}
