// Chooses a model: one the machine lists, or any other by its name.

import { callJson } from "../shared/api.js";
import { byId, el, setText, show } from "../shared/dom.js";

const OTHER = "";

/** @typedef {import("../shared/wire.js").Model} Model */

/** Needs #model (a select), #other-model and its #other-field on the page.
 * @param {{ changed: () => void }} page */
export function createModelPicker({ changed }) {
  const select = byId("model");
  const other = byId("other-model");
  /** @type {Model[]} */
  let models = [];
  /** @type {string | null} */
  let loaded = null;
  /** @type {string[]} */
  let suggested = [];
  let touched = false;

  function showOther() {
    show(byId("other-field"), select.value === OTHER);
  }

  /** What the lines of the file ask for, unless the person has chosen already; either may come before the list does. */
  function followSuggestion() {
    if (touched || suggested.length !== 1) return;
    const known = models.find((model) => model.id === suggested[0] || model.aliases?.includes(suggested[0]));
    if (known) select.value = known.id;
  }

  select.addEventListener("change", () => {
    touched = true;
    showOther();
    if (select.value === OTHER) other.focus();
    changed();
  });
  other.addEventListener("input", changed);

  /** The model that is loaded anyway, else the first of the list. */
  function chooseUsual() {
    select.value = models.find(({ id }) => id === loaded)?.id ?? models[0]?.id ?? OTHER;
  }

  /** @param {string} id */
  function labelOf(id) {
    return id === loaded ? `${id} (loaded)` : id;
  }

  return {
    /** @param {AbortSignal} signal */
    async load(signal) {
      /** @type {{ data: Model[] }} */
      const list = await callJson("/v1/models", { signal });
      models = list.data;
      loaded = models.find((model) => model.loaded)?.id ?? null;
      const options = models.map(({ id }) => el("option", { value: id }, labelOf(id)));
      select.replaceChildren(...options, el("option", { value: OTHER }, "Another model …"));
      if (touched) select.value = OTHER;
      else chooseUsual();
      followSuggestion();
      showOther();
      changed();
    },
    /** Says which model is loaded by now; the choice stays.
     * @param {string | null} model */
    mark(model) {
      loaded = model;
      for (const option of select.options) if (option.value !== OTHER) setText(option, labelOf(option.value));
    },
    /** As if nobody had chosen. */
    reset() {
      touched = false;
      suggested = [];
      other.value = "";
      chooseUsual();
      showOther();
    },
    /** @param {string[]} named the models that the lines of a file ask for */
    suggest(named) {
      suggested = named;
      followSuggestion();
      showOther();
    },
    /** Chooses for the person, who may choose again: a known model in the list, any other by its name.
     * @param {string} model */
    choose(model) {
      touched = true;
      const known = models.find((one) => one.id === model || one.aliases?.includes(model));
      select.value = known?.id ?? OTHER;
      if (!known) other.value = model;
      showOther();
      changed();
    },
    /** All names of a model, its own included.
     * @param {string} model @returns {string[]} */
    namesOf(model) {
      const known = models.find((one) => one.id === model || one.aliases?.includes(model));
      return known ? [known.id, ...(known.aliases ?? [])] : [model];
    },
    /** @returns {string} "" when none is named */
    value() {
      return select.value === OTHER ? other.value.trim() : select.value;
    },
    focus() {
      (select.value === OTHER ? other : select).focus();
    },
  };
}
