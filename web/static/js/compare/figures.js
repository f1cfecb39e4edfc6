// The figures above the rows: how much matches, which field is looked at and how it changed: agreement or a histogram.

import { markOf } from "../shared/batch_picker.js";
import { letterOf } from "../shared/batches.js";
import { byId, el, setText, show } from "../shared/dom.js";
import { integer, percent } from "../shared/format.js";
import {
  agreementTable,
  bars,
  direction,
  frequentChanges,
  heat,
  signed,
  trimmed,
  word,
} from "./differences.js";

/** @typedef {import("../shared/wire.js").Comparison} Comparison */
/** @typedef {import("../shared/wire.js").FieldChange} FieldChange */
/** @typedef {import("../shared/wire.js").Field} Field */
/** @typedef {Field | undefined} Chosen */

const SHORT = 22;
const SVG = "http://www.w3.org/2000/svg";

/** The choice of a field, and what is named after it: a tab, the orders.
 * @param {Field[]} fields @param {Chosen} chosen @param {string} sort */
export function drawField(fields, chosen, sort) {
  const signature = JSON.stringify(fields.map(({ path }) => path));
  const select = byId("field");
  if (select.dataset.fields !== signature) {
    select.replaceChildren(
      ...fields.map(({ path, is_number: isNumber }) =>
        el("option", { value: path }, `${path}${isNumber ? "  (number)" : ""}`),
      ),
    );
    select.dataset.fields = signature;
  }
  select.value = chosen?.path ?? "";
  const short = chosen && (chosen.path.length > SHORT ? `${chosen.path.slice(0, SHORT - 1)}…` : chosen.path);
  const tab = byId("tab-flipped");
  show(tab, chosen !== undefined);
  if (short && tab.firstChild)
    tab.firstChild.textContent = `${short} ${chosen.is_number ? "changed" : "flipped"}`;
  show(byId("sort-choice"), chosen?.is_number === true);
  byId("sort").value = sort;
  for (const [value, words] of [
    ["-change", "largest rise of"],
    ["change", "largest fall of"],
  ])
    setText(byId("sort").querySelector(`[value="${value}"]`), `${words} ${short}`);
}

/** @param {Comparison} found @param {Chosen} field @param {string[]} names of the batches */
export function drawFigures(found, field, names) {
  const two = found.sides.length === 1;
  byId("overview").className = `overview ${two ? "two" : "many"}${field ? "" : " plain"}`;
  byId("cards").className = two ? "vitals" : "card";
  byId("cards").replaceChildren(
    ...(two
      ? cards(found, field, found.changes[0])
      : [
          el(
            "div",
            { class: "scroll", tabindex: "0", role: "region", "aria-label": "Summary of each batch" },
            summaryTable(found, field, names),
          ),
        ]),
  );
  show(byId("field-card"), field !== undefined);
  if (field)
    byId("figures").replaceChildren(
      ...found.changes.map((change, index) => figure(change, field, index + 1, !two)),
    );
}

/** Four cards, of two batches.
 * @param {Comparison} found @param {Chosen} field @param {FieldChange | undefined} change @returns {HTMLElement[]} */
function cards({ sides: [side] }, field, change) {
  const all = side.both + side.only_baseline + side.only_other;
  const same = card("Same answer", percent(side.same, side.both), "", [
    ["same", integer(side.same)],
    ["different", integer(side.different)],
  ]);
  const tokens = card(
    "Output tokens, mean",
    trimmed(side.baseline_tokens, 0),
    `→ ${trimmed(side.other_tokens, 0)}`,
    [["change", share(side.baseline_tokens, side.other_tokens)]],
  );
  return [
    card("Matched by custom_id", integer(side.both), `of ${integer(all)}`, [
      ["only in baseline", integer(side.only_baseline)],
      ["only in contender", integer(side.only_other)],
    ]),
    ...(field && change
      ? field.is_number
        ? [same, meanCard(field.path, change)]
        : [agreeCard(field.path, change), same]
      : [same]),
    tokens,
  ];
}

/** @param {string} path @param {FieldChange} change */
function meanCard(path, change) {
  const moved = (change.other_mean ?? 0) - (change.baseline_mean ?? 0);
  const delta = el("span", { class: `delta ${direction(moved)}` }, signed(moved));
  return card(`${path}, mean`, trimmed(change.baseline_mean), `→ ${trimmed(change.other_mean)}`, [
    ["mean change", delta],
    ["unchanged", percent(change.equal, change.both)],
  ]);
}

/** @param {string} path @param {FieldChange} change */
function agreeCard(path, change) {
  /** @type {[string, string][]} */
  const flips = frequentChanges(change.agreement, 2).map(({ baseline, other, count }) => [
    `${word(baseline)} → ${word(other)}`,
    integer(count),
  ]);
  return card(
    `Same ${path}`,
    percent(change.equal, change.both),
    "",
    flips.length > 0 ? flips : [["flipped", "0"]],
  );
}

/** @param {string} title @param {string} big @param {string} small @param {[string, string | Node][]} facts */
function card(title, big, small, facts) {
  const lines = facts.map(([name, value]) =>
    el("div", {}, el("dt", { class: "one-line", title: name }, name), el("dd", {}, value)),
  );
  return el(
    "article",
    { class: "card vital" },
    el("h2", { class: "break" }, title),
    el("p", { class: "big" }, big, small && " ", small && el("small", {}, small)),
    el("dl", {}, ...lines),
  );
}

/** @param {number | null} before @param {number | null} after */
function share(before, after) {
  if (!before || after === null) return "–";
  return `${signed((after / before - 1) * 100, Math.abs(after / before - 1) < 0.1 ? 1 : 0)} %`;
}

/** The same figures of three or four batches as a table.
 * @param {Comparison} found @param {Chosen} field @param {string[]} names */
function summaryTable({ sides, changes }, field, names) {
  const heads = [
    "Batch",
    "Matched",
    "Only in baseline",
    "Only here",
    "Same answer",
    ...(field ? [field.is_number ? `${field.path}, mean` : `Same ${field.path}`] : []),
    "Output tokens, mean",
  ];
  const [first] = changes;
  const baseline = [
    "–",
    "–",
    "–",
    "–",
    ...(field ? [field.is_number ? trimmed(first?.baseline_mean) : "–"] : []),
    trimmed(sides[0].baseline_tokens, 0),
  ];
  const others = sides.map((side, index) => {
    const change = changes[index];
    const moved = (change?.other_mean ?? 0) - (change?.baseline_mean ?? 0);
    const ofField = !change
      ? "–"
      : field?.is_number
        ? el(
            "span",
            {},
            `${trimmed(change.other_mean)} `,
            el("span", { class: `delta small ${direction(moved)}` }, signed(moved)),
          )
        : percent(change.equal, change.both);
    return [
      integer(side.both),
      integer(side.only_baseline),
      integer(side.only_other),
      percent(side.same, side.both),
      ...(field ? [ofField] : []),
      el(
        "span",
        {},
        `${trimmed(side.other_tokens, 0)} `,
        el("span", { class: "small muted" }, share(side.baseline_tokens, side.other_tokens)),
      ),
    ];
  });
  const rows = [baseline, ...others].map((cells, side) =>
    el(
      "tr",
      {},
      el("th", { scope: "row", class: "break" }, markOf(side), names[side]),
      ...cells.map((cell) => el("td", { class: "num" }, cell)),
    ),
  );
  return el(
    "table",
    { class: "summary" },
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        ...heads.map((head, column) => el("th", { scope: "col", class: column > 0 ? "num" : null }, head)),
      ),
    ),
    el("tbody", {}, ...rows),
  );
}

/** How the field of one batch differs from the baseline's.
 * @param {FieldChange} change @param {Field} field @param {number} side @param {boolean} isOneOfMany */
function figure(change, field, side, isOneOfMany) {
  const title = el(
    "figcaption",
    {},
    isOneOfMany && markOf(0),
    isOneOfMany && markOf(side),
    el("span", {}, figureTitle(change, field)),
  );
  const drawing =
    change.both === 0
      ? null
      : field.is_number
        ? histogram(change, field.path)
        : agreement(change, field.path, side);
  return el("figure", {}, title, drawing);
}

/** @param {FieldChange} change @param {Field} field */
function figureTitle({ both, equal }, { path, is_number: isNumber }) {
  if (both === 0) return "No request has the field in both answers.";
  return `${isNumber ? `Change of ${path}` : path}: ${integer(equal)} of ${integer(both)} the same`;
}

/** @param {FieldChange} change @param {string} path @param {number} side */
function agreement(change, path, side) {
  const title = `Agreement on ${path} of A and ${letterOf(side)}`;
  const { values, cells, rest } = agreementTable(change.agreement);
  const scattered = rest > change.both / 2;
  if (scattered) return frequentTable(change);
  const most = Math.max(...cells.flat());
  const rows = values.map((value, row) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, el("span", { class: "one-line", title: value }, value)),
      ...cells[row].map((count, column) =>
        el(
          "td",
          { class: `num heat-${heat(count, most)}${row === column ? " agreed" : ""}` },
          count ? integer(count) : "·",
        ),
      ),
    ),
  );
  const head = values.map((value) =>
    el("th", { scope: "col", class: "num" }, el("span", { class: "one-line", title: value }, value)),
  );
  const table = el(
    "table",
    { class: "agreement", "aria-label": title },
    el("thead", {}, el("tr", {}, el("td", { class: "muted" }, `A ↓  ${letterOf(side)} →`), ...head)),
    el("tbody", {}, ...rows),
  );
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}, table` },
    table,
    rest > 0 && el("p", { class: "small muted" }, `${integer(rest)} with rarer words are left out.`),
  );
}

/** For words of which nearly each is another.
 * @param {FieldChange} change */
function frequentTable({ agreement: pairs }) {
  const rows = frequentChanges(pairs, 5).map(({ baseline, other, count }) =>
    el(
      "li",
      {},
      el("span", { class: "clip" }, word(baseline)),
      el("span", { class: "muted" }, "→"),
      el("span", { class: "clip" }, word(other)),
      el("b", { class: "num" }, integer(count)),
    ),
  );
  return el(
    "div",
    {},
    el("p", { class: "small muted" }, "Many different values; the most frequent changes:"),
    el("ul", { class: "changes small" }, ...rows),
  );
}

const WIDTH = 480;
const HEIGHT = 150;

/** @param {FieldChange} change @param {string} path */
function histogram(change, path) {
  const found = bars(change.bins);
  const most = Math.max(1, ...found.map(({ count }) => count));
  const step = WIDTH / found.length;
  const svg = draw("svg", { class: "histogram", viewBox: `0 0 ${WIDTH} ${HEIGHT + 34}`, role: "img" });
  svg.setAttribute(
    "aria-label",
    `Histogram of the change of ${path}. ${found
      .filter(({ count }) => count)
      .map((bar) => `${range(bar)}: ${integer(bar.count)}`)
      .join("; ")}`,
  );
  svg.append(draw("line", { x1: 0, x2: WIDTH, y1: HEIGHT + 14, y2: HEIGHT + 14 }));
  const labelled = Math.ceil(found.length / 9);
  for (const [index, bar] of found.entries()) {
    const height = bar.count ? Math.max(2, (bar.count / most) * (HEIGHT - 6)) : 0;
    const middle = ((index + 0.5) * step).toFixed(1);
    const rect = draw("rect", {
      x: (index * step + Math.min(3, step * 0.12)).toFixed(1),
      width: Math.max(1, step - 2 * Math.min(3, step * 0.12)).toFixed(1),
      y: (HEIGHT + 14 - height).toFixed(1),
      height: height.toFixed(1),
      rx: 2,
      class: side(bar),
    });
    rect.append(draw("title", {}, `${range(bar)}: ${integer(bar.count)}`));
    svg.append(rect);
    if (bar.count && step >= 34)
      svg.append(
        draw("text", { x: middle, y: (HEIGHT + 9 - height).toFixed(1), class: "of" }, integer(bar.count)),
      );
    if (index % labelled === 0 || found.length <= 13)
      svg.append(draw("text", { x: middle, y: HEIGHT + 29 }, tick(bar)));
  }
  return svg;
}

/** @param {import("./differences.js").Bar} bar */
function side({ low, high }) {
  return low <= 0 && high >= 0 && !(low === 0 && high > 0) ? "zero" : high <= 0 ? "fell" : "rose";
}

/** @param {import("./differences.js").Bar} bar */
function range({ low, high }) {
  return low === high ? plain(low) : `${plain(low)} to ${plain(high)}`;
}

/** @param {import("./differences.js").Bar} bar */
function tick({ low }) {
  return plain(low);
}

/** @param {number} value */
function plain(value) {
  return value > 0 ? `+${trimmed(value)}` : trimmed(value);
}

/** @param {string} tag @param {Record<string, string | number>} attributes @param {string} [text] */
function draw(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  if (text !== undefined) node.textContent = text;
  return node;
}
