// The menu of a column: its order, a filter, its most frequent values, its place among the others.

import { callJson } from "../shared/api.js";
import { byId, el, icon, setAttribute } from "../shared/dom.js";
import { compact, integer, percent } from "../shared/format.js";
import { messageOf } from "../shared/page.js";
import { wantedValue, withConditions, withoutColumn, withValue } from "../shared/row_query.js";
import { fullName } from "./frame.js";
import { setLengths } from "./grid.js";
import { distributionPath } from "./url_state.js";

/** @typedef {import("./columns.js").Column} Column */
/** @typedef {import("./url_state.js").TablePlace} TablePlace */
/**
 * @typedef {{ present: number, distinct: number, mean: number | null, top: { value: any, count: number }[] }}
 * Distribution
 */
/**
 * @typedef {{
 *   place: () => TablePlace, go: (changed: import("../shared/row_query.js").Place) => void, hide: (id: string) => void,
 *   shift: (id: string, by: number) => void, isLogical: (column: Column) => boolean,
 * }} MenuActions `isLogical`: its values are true and false, which the API counts as 1 and 0
 */

const SHOWN_VALUES = 8;
/** @type {[string, string][]} */
const FOR_NUMBERS = [
  ["ge", "at least"],
  ["le", "at most"],
  ["gt", "more than"],
  ["lt", "less than"],
  ["eq", "is"],
  ["ne", "is not"],
  ["present", "is there"],
  ["empty", "is empty"],
];
/** @type {[string, string][]} */
const FOR_WORDS = [
  ["contains", "contains"],
  ["eq", "is"],
  ["ne", "is not"],
  ["present", "is there"],
  ["empty", "is empty"],
];

/** @param {MenuActions} actions */
export function createMenu(actions) {
  const popover = byId("column-menu");
  let reading = new AbortController();
  popover.addEventListener(
    "toggle",
    (/** @type {ToggleEvent} */ event) => event.newState === "closed" && reading.abort(),
  );

  /** @param {Column} column */
  function contentOf(column) {
    const close = (/** @type {() => void} */ act) => () => {
      popover.hidePopover();
      act();
    };
    const go = (/** @type {import("../shared/row_query.js").Place} */ place) =>
      close(() => actions.go(place))();
    const parts = [
      el("h2", { class: "break" }, fullName(column, actions.place())),
      orders(column, actions.place, go),
      filterForm(column, actions.place, go),
    ];
    if (!["id", "answer"].includes(column.kind) && !/^(\d\.)?line$/.test(column.id))
      parts.push(values(column, go));
    if (column.kind !== "id") {
      const button = (
        /** @type {string} */ name,
        /** @type {string} */ word,
        /** @type {() => void} */ act,
      ) => {
        const node = el("button", { type: "button" }, name && icon(name), word);
        node.addEventListener("click", close(act));
        return node;
      };
      parts.push(
        el(
          "div",
          { class: "row" },
          button("back", "Left", () => actions.shift(column.id, -1)),
          button("forward", "Right", () => actions.shift(column.id, 1)),
          button("cross", "Hide", () => actions.hide(column.id)),
        ),
      );
    }
    return parts;
  }

  /** @param {Column} column @param {(place: import("../shared/row_query.js").Place) => void} go */
  function values(column, go) {
    const list = el(
      "div",
      { class: "counts", "aria-busy": "true" },
      el("p", { class: "small muted" }, "counting …"),
    );
    reading.abort();
    reading = new AbortController();
    const { signal } = reading;
    const place = { ...actions.place(), ...withoutColumn(actions.place(), column.id) };
    callJson(distributionPath(place, column.id), { signal })
      .then((/** @type {Distribution} */ found) =>
        list.replaceChildren(...valueParts(column, found, actions, go)),
      )
      .catch(
        (error) =>
          signal.aborted || list.replaceChildren(el("p", { class: "small bad-text" }, messageOf(error))),
      )
      .finally(() => setAttribute(list, "aria-busy", null));
    return list;
  }

  return {
    /** @param {Column} column @param {HTMLElement} opener */
    open(column, opener) {
      popover.replaceChildren(...contentOf(column));
      setAttribute(popover, "aria-label", `Column ${fullName(column, actions.place())}`);
      const box = opener.getBoundingClientRect();
      popover.showPopover();
      const left = Math.max(
        8,
        Math.min(box.left, document.documentElement.clientWidth - popover.offsetWidth - 8),
      );
      const top = Math.max(8, Math.min(box.bottom + 4, innerHeight - 360));
      setLengths("#column-menu", { left, top, "max-height": innerHeight - top - 8 });
      popover.querySelector("button, input, select")?.focus();
    },
  };
}

/** @param {Column} column @param {() => TablePlace} placeNow @param {(place: TablePlace) => void} go */
function orders({ id, kind }, placeNow, go) {
  const words = kind === "number" ? ["Smallest first", "Largest first"] : ["A to Z", "Z to A"];
  const buttons = [id, `-${id}`].map((sort, index) => {
    const button = el(
      "button",
      { type: "button", "aria-pressed": String(placeNow().sort === sort) },
      words[index],
    );
    button.addEventListener("click", () =>
      go({ ...placeNow(), sort: placeNow().sort === sort ? "line" : sort }),
    );
    return button;
  });
  return el("div", { class: "row" }, ...buttons);
}

/**
 * @param {Column} column
 * @param {() => TablePlace} placeNow
 * @param {(place: import("../shared/row_query.js").Place) => void} go
 */
function filterForm({ id, kind, title }, placeNow, go) {
  const choices = kind === "number" ? FOR_NUMBERS : FOR_WORDS;
  const operator = el(
    "select",
    { "aria-label": `How ${title} is compared` },
    ...choices.map(([value, word]) => el("option", { value }, word)),
  );
  const value = el("input", {
    type: "text",
    "aria-label": `Value of ${title}`,
    placeholder: kind === "number" ? "number" : "text",
    inputmode: kind === "number" ? "decimal" : null,
    autocomplete: "off",
    spellcheck: "false",
    maxlength: "400",
  });
  const isAlone = () => operator.value === "present" || operator.value === "empty";
  operator.addEventListener("change", () => (value.disabled = isAlone()));
  const form = el(
    "form",
    { class: "filter-form" },
    operator,
    value,
    el("button", { type: "submit" }, "Filter"),
  );
  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const word = value.value.trim();
    if (!isAlone() && word === "") return value.focus();
    const place = placeNow();
    const kept = place.where.filter((one) => one.column === id && one.operator !== operator.value);
    go(
      withConditions(place, id, [
        ...kept,
        { column: id, operator: operator.value, value: isAlone() ? "" : word },
      ]),
    );
  });
  return form;
}

/**
 * @param {Column} column
 * @param {Distribution} found
 * @param {MenuActions} actions
 * @param {(place: import("../shared/row_query.js").Place) => void} go
 */
function valueParts(column, found, actions, go) {
  const place = actions.place();
  const mean =
    found.mean === null || actions.isLogical(column) ? "" : `, mean ${Number(found.mean.toPrecision(4))}`;
  const facts = el(
    "p",
    { class: "small muted" },
    found.present === 0
      ? "No row has a value"
      : `${compact(found.present)} values, ${compact(found.distinct)} different${mean}`,
  );
  const buttons = found.top.slice(0, SHOWN_VALUES).map(({ value, count }) => {
    const word = actions.isLogical(column) ? String(Boolean(value)) : String(value);
    const isOn = wantedValue(place, column.id) === word;
    const bar = el("progress", {
      "aria-hidden": "true",
      max: String(Math.max(1, found.present)),
      value: String(count),
    });
    const button = el(
      "button",
      { type: "button", "aria-pressed": String(isOn), title: `${word}: ${percent(count, found.present)}` },
      el("span", { class: "word" }, word || "(no words)"),
      el("span", { class: "count" }, integer(count)),
      bar,
    );
    button.addEventListener("click", () => go(withValue(actions.place(), column.id, isOn ? null : word)));
    return el("li", {}, button);
  });
  return [facts, el("ul", { class: "values", "aria-label": "Most frequent values" }, ...buttons)];
}
