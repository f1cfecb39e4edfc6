// Which batches are compared and how, as the page's address says; the selects that choose two to four of
// them, the first
// the baseline; what was set up differently: their own settings and those of their first requests. Address
// and setup are pure.

import { callJson } from "../shared/api.js";
import { batchesWithAnswers, fillPicker, markOf } from "../shared/batch_picker.js";
import { batchPath, displayName, isOpen, MOST_BATCHES } from "../shared/batches.js";
import { byId, el, icon, show } from "../shared/dom.js";

/** @typedef {import("../shared/wire.js").Batch} Batch */
/** @typedef {{ name: string, values: (string | null)[], differs: boolean }} Setting */
/** @typedef {"flipped" | "different" | "same" | "unmatched" | "all"} Only */
/** @typedef {"line" | "change" | "-change"} Sort */
/**
 * @typedef {{ batches: string[], field: string, only: Only, sort: Sort, offset: number, open: string }} Place
 * `field` empty: the likeliest; `open`: the custom_id of the row that is shown in full
 */

const ONLY = ["flipped", "different", "same", "unmatched", "all"];
const SORTS = ["line", "change", "-change"];
const TEXTS = new Set([
  "model",
  "messages",
  "prompt",
  "input",
  "instructions",
  "texts",
  "documents",
  "query",
]);
const MOST_NAMED = 5;

/** @param {string} search the address's query @returns {Place} */
export function readPlace(search) {
  const asked = new URLSearchParams(search);
  const only = asked.get("only") ?? "";
  const sort = asked.get("sort") ?? "";
  const offset = Number(asked.get("offset"));
  return {
    batches: [...new Set(asked.getAll("batch").filter(Boolean))].slice(0, MOST_BATCHES),
    field: asked.get("field") ?? "",
    only: /** @type {Only} */ (ONLY.includes(only) ? only : "different"),
    sort: /** @type {Sort} */ (SORTS.includes(sort) ? sort : "line"),
    offset: Number.isInteger(offset) && offset > 0 && offset < 2 ** 31 ? offset : 0,
    open: asked.get("open") ?? "",
  };
}

/** The same place as a query, without what is as usual.
 * @param {Place} place */
export function writePlace({ batches, field, only, sort, offset, open }) {
  const asked = new URLSearchParams(batches.map((id) => ["batch", id]));
  if (field) asked.set("field", field);
  if (only !== "different") asked.set("only", only);
  if (sort !== "line") asked.set("sort", sort);
  if (offset > 0) asked.set("offset", String(offset));
  if (open) asked.set("open", open);
  return `?${asked}`;
}

/** The question for `/v1/compare` and `/v1/compare/rows`.
 * @param {string[]} batches @param {Record<string, string | number | boolean>} [more] */
export function question(batches, more = {}) {
  const asked = new URLSearchParams(batches.map((id) => ["batch", id]));
  for (const [name, value] of Object.entries(more)) if (value !== "") asked.set(name, String(value));
  return asked.toString();
}

/** @param {{ choose: (ids: string[]) => void }} on */
export function createSides({ choose }) {
  /** @type {Map<string, Batch>} those of the list, and others that were asked for */
  let known = new Map();
  let isListed = false;
  /** @type {string[]} */
  let chosen = [];
  let count = 2; // filled or not

  /** A batch that stands on another side already changes places with this one.
   * @param {number} side @param {string} id */
  function change(side, id) {
    const ids = Array.from({ length: count }, (_, index) => chosen[index] ?? "");
    const other = ids.indexOf(id);
    if (id && other >= 0) ids[other] = ids[side];
    ids[side] = id;
    choose(ids.filter(Boolean));
  }

  /** @param {number} side */
  function picker(side) {
    const select = el("select", { id: `batch-${side}` }, el("option", { value: "" }, "…"));
    select.addEventListener("change", () => change(side, select.value));
    const word = side === 0 ? "Baseline" : side === 1 ? "Contender" : `Contender ${side}`;
    const remove = el(
      "button",
      { type: "button", class: "quiet icon-only", "aria-label": `Remove ${word}` },
      icon("cross"),
    );
    remove.addEventListener("click", () => {
      count -= 1;
      choose(chosen.filter((_, index) => index !== side));
    });
    return el(
      "div",
      { class: "field" },
      el("label", { for: select.id }, markOf(side), word),
      el("div", { class: "picked" }, select, side > 1 && remove),
    );
  }

  /** @param {string[]} ids that are chosen */
  function draw(ids) {
    const batches = [...known.values()];
    chosen = ids;
    count = Math.max(2, ids.length, count);
    const place = byId("pickers");
    if (place.querySelectorAll(".mark").length !== count)
      place.replaceChildren(...Array.from({ length: count }, (_, side) => picker(side)));
    for (let side = 0; side < count; side += 1) {
      const select = byId(`batch-${side}`);
      const filled = `${isListed} ${batches.length} ${ids[side] ?? ""}`;
      if (select.dataset.filled !== filled) fillPicker(select, batches, ids[side] ?? null, isListed);
      select.dataset.filled = filled;
    }
    show(byId("add"), count < MOST_BATCHES && ids.length >= count);
    byId("swap").disabled = ids.length < 2;
  }

  /** The batches that are compared, as far as they are known. */
  function compared() {
    return chosen.flatMap((id) => known.get(id) ?? []);
  }

  return {
    draw,
    compared,
    /** Whether all of them are known to have ended: no answer comes any more. */
    haveEnded: () => compared().length === chosen.length && !compared().some(isOpen),
    /** Reads those to choose from, once.
     * @param {AbortSignal} signal */
    async readList(signal) {
      if (isListed) return;
      const batches = await batchesWithAnswers(signal);
      known = new Map(batches.map((batch) => [batch.id, batch]));
      isListed = true;
      show(byId("empty-action"), batches.length < 2);
      draw(chosen);
    },
    /** Reads those that are not in the list, and those that had not ended.
     * @param {AbortSignal} signal */
    async read(signal) {
      const wanted = chosen.filter((id) => !compared().some((batch) => batch.id === id && !isOpen(batch)));
      const read = await Promise.all(wanted.map((id) => callJson(batchPath(id), { signal })));
      for (const batch of read) known.set(batch.id, batch);
      draw(chosen);
    },
    names: () => chosen.map((id) => displayName(known.get(id) ?? /** @type {any} */ ({ id }))),
    /** One more, still empty. */
    add() {
      count += 1;
      draw(chosen);
      byId(`batch-${count - 1}`).focus();
    },
  };
}

/** @param {Batch[]} batches @param {any[]} first bodies of the first requests @returns {Setting[]} */
export function settings(batches, first) {
  const metadata = names(batches.map((batch) => batch.metadata)).filter((name) => name !== "name");
  const sampling = names(first).filter((name) => !TEXTS.has(name));
  return [
    setting(
      "model",
      batches.map((batch) => batch.model),
    ),
    setting(
      "endpoint",
      batches.map((batch) => batch.endpoint),
    ),
    setting("system prompt", first.map(systemPrompt)),
    ...sampling.map((name) =>
      setting(
        name,
        first.map((body) => shown(body?.[name])),
      ),
    ),
    ...metadata.map((name) =>
      setting(
        name,
        batches.map((batch) => batch.metadata?.[name] ?? null),
      ),
    ),
    setting(
      "input file",
      batches.map((batch) => batch.input_file_id),
    ),
    setting(
      "requests",
      batches.map((batch) => String(batch.request_counts.total)),
    ),
    setting(
      "priority",
      batches.map((batch) => String(batch.priority)),
    ),
  ].filter(({ values }) => values.some((value) => value !== null));
}

/** @param {string} name @param {(string | null)[]} values @returns {Setting} */
function setting(name, values) {
  return { name, values, differs: new Set(values).size > 1 };
}

/** @param {any[]} objects */
function names(objects) {
  return [...new Set(objects.flatMap((one) => Object.keys(one ?? {})))];
}

/** @param {any} value */
function shown(value) {
  if (value === undefined) return null;
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** What the first request tells the model besides its own text.
 * @param {any} body @returns {string | null} */
export function systemPrompt(body) {
  if (typeof body?.instructions === "string") return body.instructions;
  const messages = [body?.messages, body?.input].find(Array.isArray) ?? [];
  const told = messages
    .filter((/** @type {any} */ message) => ["system", "developer"].includes(message?.role))
    .map((/** @type {any} */ { content }) => shown(content) ?? "");
  return told.length > 0 ? told.join("\n\n") : null;
}

/** @param {HTMLElement} place @param {Setting[]} found */
export function drawSetup(place, found) {
  const differing = found.filter(({ differs }) => differs);
  const same = found.filter(({ differs }) => !differs);
  const named = differing
    .slice(0, MOST_NAMED)
    .flatMap(({ name }, index) => [index > 0 ? ", " : "", el("b", {}, name)]);
  const more = differing.length > MOST_NAMED ? ` and ${differing.length - MOST_NAMED} more` : "";
  const words = differing.length > 0 ? ["Setup differs in ", ...named, more] : ["Set up alike"];
  const head = el(
    "tr",
    {},
    el("th", { scope: "col" }, "Setting"),
    ...(found[0]?.values ?? []).map((_, side) =>
      el("th", { scope: "col" }, markOf(side), side === 0 ? "Baseline" : "Contender"),
    ),
  );
  const table = el(
    "table",
    { class: "settings" },
    el("thead", {}, head),
    el("tbody", {}, ...[...differing, ...same].map(row)),
  );
  const isOpen = place.querySelector("details")?.open ?? false;
  place.replaceChildren(
    el(
      "details",
      { class: "setup", open: isOpen },
      el("summary", {}, ...words),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Setup" }, table),
    ),
  );
}

/** @param {Setting} setting */
function row({ name, values, differs }) {
  const cells = values.map((value, side) =>
    el(
      "td",
      { class: value === null ? "muted" : "break" },
      differs && side > 0 && value !== values[0]
        ? el("span", { class: "clip changed" }, value ?? "not set")
        : el("span", { class: "clip" }, value ?? "not set"),
    ),
  );
  return el("tr", { class: differs ? null : "alike" }, el("th", { scope: "row" }, name), ...cells);
}
