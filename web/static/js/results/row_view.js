// One request and its answer, laid out to be read: facts, prompt, answer in the shape one likes, the raw lines.

import { createCopyButton } from "../shared/copy_button.js";
import { el, setAttribute, show } from "../shared/dom.js";
import { integer, secondsText, utc, when } from "../shared/format.js";
import { messageOf, remember, remembered } from "../shared/page.js";
import { jsonIn } from "../shared/parsers.js";
import { choicesOf, errorOf, promptOf, settingsOf } from "../shared/row_reading.js";
import { createJsonTree } from "./json_tree.js";
import { markdownIsThere, showMarkdown } from "./markdown.js";

/** @typedef {import("../shared/wire.js").AnswerDetail} AnswerDetail */
/** @typedef {{ id: string, word: string, fill: (place: HTMLElement) => void | Promise<void> }} Shape */

const VIEW_NAME = "batch-answer-view";
const MAX_RAW = 400_000;

/** @param {AnswerDetail} detail @returns {Node[]} */
export function rowParts(detail) {
  return [factsOf(detail), ...errorPart(detail), promptPart(detail), ...answerPart(detail), rawPart(detail)];
}

/** @param {AnswerDetail} detail */
function factsOf(detail) {
  const { started_at: start, finished_at: end } = detail;
  const answered = detail.response?.response?.body?.model;
  const settings = settingsOf(detail.request);
  /** @type {[string, string, string?][]} */
  const facts = [
    ["status code", detail.status_code === null ? "" : String(detail.status_code)],
    ["finish reason", detail.finish_reason ?? ""],
    ["tokens in", detail.input_tokens ? integer(detail.input_tokens) : ""],
    ["tokens out", detail.output_tokens ? integer(detail.output_tokens) : ""],
    ["took", start !== null && end !== null ? secondsText(Math.max(0, end - start)) : ""],
    ["attempts", detail.attempts ? integer(detail.attempts) : ""],
    ["started", start === null ? "" : when(start, new Date()), utc(start)],
    ["ended", end === null ? "" : when(end, new Date()), utc(end)],
    ["model", String(answered ?? "")],
    ...settings
      .filter(([name, value]) => name !== "model" || value !== answered)
      .map(
        ([name, value]) =>
          /** @type {[string, string]} */ ([name === "model" ? "model of the line" : name, value]),
      ),
  ];
  const known = facts.filter(([, value]) => value !== "");
  return el(
    "dl",
    { class: "details drawer-part" },
    ...known.map(([name, value, title]) =>
      el("div", {}, el("dt", {}, name), el("dd", { title: title || null }, value)),
    ),
  );
}

/** @param {AnswerDetail} detail */
function errorPart({ error_code: code, response, text }) {
  const error = errorOf(response) ?? (code ? { code, message: text ?? "" } : null);
  if (!error) return [];
  return [
    el(
      "section",
      { class: "drawer-part failure", "aria-label": "Error" },
      el(
        "p",
        {},
        el("b", { class: "bad-text mono" }, code ?? error.code),
        " ",
        code && error.code !== code ? el("span", { class: "muted mono" }, error.code) : null,
      ),
      el("p", { class: "break said" }, error.message),
    ),
  ];
}

/** @param {AnswerDetail} detail */
function promptPart({ request }) {
  const messages = promptOf(request);
  const text = messages.map((one) => `${one.role}:\n${one.text}`).join("\n\n");
  const blocks = messages.map((one) =>
    el(
      "div",
      { class: "message" },
      el("b", { class: "role" }, one.role),
      el("div", { class: "said" }, one.text),
    ),
  );
  const missing = el(
    "p",
    { class: "muted" },
    request === null ? "The input file is gone; the prompt went with it." : "This request has no prompt.",
  );
  return section(
    "Prompt",
    messages.length > 0 ? [createCopyButton("Copy the prompt", () => text)] : [],
    ...(blocks.length > 0 ? blocks : [missing]),
  );
}

/** @param {AnswerDetail} detail */
function answerPart(detail) {
  if (errorOf(detail.response)) return [];
  const choices = choicesOf(detail.response, detail.text);
  if (choices.length === 0)
    return [
      section(
        "Answer",
        [],
        el("p", { class: "muted" }, NO_ANSWER[detail.status] ?? "Its file is gone; the answer went with it."),
      ),
    ];
  return choices.map((choice, index) =>
    choicePart(choice, choices.length > 1 ? `Answer ${index + 1} of ${choices.length}` : "Answer"),
  );
}

/** @type {Record<string, string>} */
const NO_ANSWER = {
  pending: "Not run yet.",
  running: "Running now; the answer appears here.",
  cancelled: "The batch was cancelled before this request ran.",
  expired: "The batch’s time was over before this request ran.",
};

/** @param {import("../shared/row_reading.js").Choice} choice @param {string} title */
function choicePart({ text, reasoning, finish }, title) {
  const place = el("div", { class: "shown" });
  const json = jsonIn(text);
  /** @type {Shape[]} */
  const shapes = [
    { id: "text", word: "Text", fill: (node) => node.replaceChildren(el("div", { class: "said" }, text)) },
    ...(json === undefined
      ? []
      : [
          {
            id: "json",
            word: "JSON",
            fill: (/** @type {HTMLElement} */ node) => node.replaceChildren(createJsonTree(json)),
          },
        ]),
  ];
  const choice = createShapeChoice(shapes, place);
  if (text.trim()) {
    void markdownIsThere().then(
      (there) =>
        there && choice.add({ id: "markdown", word: "Markdown", fill: (node) => fillMarkdown(node, text) }),
    );
  }
  const thought = reasoning
    ? [el("details", {}, el("summary", {}, "Reasoning"), el("div", { class: "said muted" }, reasoning))]
    : [];
  const empty =
    text === ""
      ? [el("p", { class: "muted" }, `The answer is empty${finish ? ` (finish reason: ${finish})` : ""}.`)]
      : [];
  return section(
    title,
    [choice.node, createCopyButton("Copy the answer", () => text)],
    ...thought,
    ...empty,
    place,
  );
}

/** @param {HTMLElement} node @param {string} text */
async function fillMarkdown(node, text) {
  const made = el("div", { class: "markdown" });
  try {
    await showMarkdown(made, text);
    node.replaceChildren(made);
  } catch (error) {
    node.replaceChildren(el("p", { class: "bad-text" }, `Markdown cannot be shown: ${messageOf(error)}`));
  }
}

/** Buttons for the shapes of an answer. What one chose last is shown first, as long as the answer has it.
 * @param {Shape[]} shapes @param {HTMLElement} place */
function createShapeChoice(shapes, place) {
  const node = el("span", { class: "segments", role: "group", "aria-label": "Show the answer as" });
  /** @type {Shape} */
  let chosen;
  /** What takes time to fill is shown when it is done, unless another shape was chosen since.
   * @param {Shape} shape */
  async function choose(shape) {
    chosen = shape;
    for (const button of node.children)
      setAttribute(button, "aria-pressed", String(button.dataset.shape === shape.id));
    const made = el("div");
    const filling = shape.fill(made);
    if (filling) await filling;
    if (chosen === shape) place.replaceChildren(made);
  }
  /** @param {Shape} shape */
  function add(shape) {
    const button = el(
      "button",
      { type: "button", "data-shape": shape.id, "aria-pressed": "false" },
      shape.word,
    );
    button.addEventListener("click", () => {
      remember(VIEW_NAME, shape.id);
      void choose(shape);
    });
    node.append(button);
    show(node, node.children.length > 1);
    if (remembered(VIEW_NAME) === shape.id) void choose(shape);
  }
  for (const shape of shapes) add(shape);
  if (!node.querySelector('[aria-pressed="true"]')) void choose(shapes[0]);
  return { node, add };
}

/** @param {AnswerDetail} detail */
function rawPart({ request, response }) {
  const raw = [
    ["Request JSON", request],
    ["Response JSON", response],
  ].filter(([, value]) => value !== null);
  return el(
    "section",
    { class: "drawer-part raw", "aria-label": "Raw lines" },
    ...raw.map(([name, value]) => rawLine(/** @type {string} */ (name), value)),
  );
}

/** @param {string} name @param {any} value */
function rawLine(name, value) {
  const pre = el("pre", { class: "sample", tabindex: "0", "aria-label": name });
  const node = el(
    "details",
    {},
    el("summary", {}, name),
    el(
      "div",
      { class: "raw-line" },
      createCopyButton(`Copy the ${name.toLowerCase()}`, () => JSON.stringify(value, null, 2)),
      pre,
    ),
  );
  node.addEventListener("toggle", () => {
    if (!node.open || pre.textContent) return;
    const text = JSON.stringify(value, null, 2);
    pre.textContent =
      text.length > MAX_RAW
        ? `${text.slice(0, MAX_RAW)}\n… and ${integer(text.length - MAX_RAW)} characters more; copying takes them all`
        : text;
  });
  return node;
}

/** @param {string} title @param {Node[]} tools @param {...Node} content */
function section(title, tools, ...content) {
  return el(
    "section",
    { class: "drawer-part", "aria-label": title },
    el("header", {}, el("h3", {}, title), el("span", { class: "end" }, ...tools)),
    ...content,
  );
}
