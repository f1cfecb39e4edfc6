// What was set up differently: the batches' own settings and those of their first requests. The rows are pure.

import { callJson } from "./api.js";
import { el } from "./dom.js";
import { mark } from "./compare_figures.js";

/** @typedef {import("./wire.js").Batch} Batch */
/** @typedef {{ name: string, values: (string | null)[], differs: boolean }} Setting */

const TEXTS = new Set(["model", "messages", "prompt", "input", "instructions", "texts", "documents", "query"]);
const MOST_NAMED = 5;

/** @param {string[]} ids @param {AbortSignal} signal @returns {Promise<{ batches: Batch[], first: any[] }>} `first`: the body of each one's first request, null when its file is gone */
export async function readSetup(ids, signal) {
  const paths = ids.map((id) => `/v1/batches/${encodeURIComponent(id)}`);
  const batches = await Promise.all(paths.map((path) => callJson(path, { signal })));
  const first = await Promise.all(paths.map((path) => callJson(`${path}/answers/1`, { signal }).then(({ request }) => request?.body ?? null, () => null)));
  return { batches, first };
}

/** @param {Batch[]} batches @param {any[]} first bodies of the first requests @returns {Setting[]} */
export function settings(batches, first) {
  const metadata = names(batches.map((batch) => batch.metadata)).filter((name) => name !== "name");
  const sampling = names(first).filter((name) => !TEXTS.has(name));
  return [
    setting("model", batches.map((batch) => batch.model)),
    setting("endpoint", batches.map((batch) => batch.endpoint)),
    setting("system prompt", first.map(systemPrompt)),
    ...sampling.map((name) => setting(name, first.map((body) => shown(body?.[name])))),
    ...metadata.map((name) => setting(name, batches.map((batch) => batch.metadata?.[name] ?? null))),
    setting("input file", batches.map((batch) => batch.input_file_id)),
    setting("requests", batches.map((batch) => String(batch.request_counts.total))),
    setting("priority", batches.map((batch) => String(batch.priority))),
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
  const told = messages.filter((/** @type {any} */ message) => ["system", "developer"].includes(message?.role)).map((/** @type {any} */ { content }) => shown(content) ?? "");
  return told.length > 0 ? told.join("\n\n") : null;
}

/** @param {HTMLElement} place @param {Setting[]} found */
export function drawSetup(place, found) {
  const differing = found.filter(({ differs }) => differs);
  const same = found.filter(({ differs }) => !differs);
  const named = differing.slice(0, MOST_NAMED).flatMap(({ name }, index) => [index > 0 ? ", " : "", el("b", {}, name)]);
  const more = differing.length > MOST_NAMED ? ` and ${differing.length - MOST_NAMED} more` : "";
  const words = differing.length > 0 ? ["Setup differs in ", ...named, more] : ["Set up alike"];
  const head = el("tr", {}, el("th", { scope: "col" }, "Setting"), ...(found[0]?.values ?? []).map((_, side) => el("th", { scope: "col" }, mark(side), side === 0 ? "Baseline" : "Contender")));
  const table = el("table", { class: "settings" }, el("thead", {}, head), el("tbody", {}, ...[...differing, ...same].map(row)));
  const isOpen = place.querySelector("details")?.open ?? false;
  place.replaceChildren(el("details", { class: "setup", open: isOpen }, el("summary", {}, ...words), el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Setup" }, table)));
}

/** @param {Setting} setting */
function row({ name, values, differs }) {
  const cells = values.map((value, side) => el("td", { class: value === null ? "muted" : "break" }, differs && side > 0 && value !== values[0] ? el("span", { class: "clip changed" }, value ?? "not set") : el("span", { class: "clip" }, value ?? "not set")));
  return el("tr", { class: differs ? null : "alike" }, el("th", { scope: "row" }, name), ...cells);
}
