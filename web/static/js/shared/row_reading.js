// What a person reads of one request and its answer: the messages, the settings, the choices. Pure.

/** @typedef {{ role: string, text: string }} Message */
/** @typedef {{ text: string, reasoning: string, finish: string | null }} Choice */

const PROMPT_FIELDS = [
  "instructions",
  "messages",
  "prompt",
  "input",
  "query",
  "documents",
  "text_1",
  "text_2",
  "queries",
  "items",
];
const SHOWN_SETTING = 120;

/** The prompt of any endpoint as roles and texts, in the order of the request.
 * @param {any} request a line of an input file @returns {Message[]} */
export function promptOf(request) {
  const body = isObject(request?.body) ? request.body : {};
  return PROMPT_FIELDS.filter((name) => body[name] !== undefined && body[name] !== null).flatMap((name) =>
    messagesIn(name, body[name]),
  );
}

/** @param {string} name @param {any} value @returns {Message[]} */
function messagesIn(name, value) {
  if (name === "instructions") return [{ role: "instructions", text: textOf(value) }];
  const many = Array.isArray(value) && !value.every((one) => typeof one === "number");
  if (!many) return [{ role: name, text: textOf(value) }];
  return value.map((one, index) =>
    isObject(one)
      ? message(one, name)
      : { role: value.length > 1 ? `${name} ${index + 1}` : name, text: textOf(one) },
  );
}

/** @param {any} one @param {string} name of the field it stands in @returns {Message} */
function message(one, name) {
  const calls = Array.isArray(one.tool_calls) ? one.tool_calls.map(callText) : [];
  const said = one.content ?? one.text ?? (calls.length > 0 ? "" : one);
  const who = [one.role ?? one.type ?? name, one.name].filter((word) => typeof word === "string").join(" · ");
  return { role: who, text: [textOf(said), ...calls].filter(Boolean).join("\n") };
}

/** @param {any} call */
function callText(call) {
  return typeof call?.function?.name === "string"
    ? `${call.function.name}(${textOf(call.function.arguments ?? "")})`
    : JSON.stringify(call);
}

/** Words of a value: text as it is, parts one by one, other things by their name or as JSON.
 * @param {any} value @returns {string} */
function textOf(value) {
  if (typeof value === "string") return value;
  if (Array.isArray(value) && value.some(isObject)) return value.map(partText).join("\n");
  return JSON.stringify(value);
}

/** @param {any} part */
function partText(part) {
  if (typeof part === "string") return part;
  if (typeof part?.text === "string") return part.text;
  const kind = typeof part?.type === "string" ? part.type.replace(/^input_|_url$/g, "") : "";
  return kind ? `[${kind}]` : JSON.stringify(part);
}

/** Everything of the body that is not the prompt: the model, sampling, limits.
 * @param {any} request @returns {[name: string, value: string][]} */
export function settingsOf(request) {
  const body = isObject(request?.body) ? request.body : {};
  return Object.entries(body)
    .filter(([name]) => !PROMPT_FIELDS.includes(name))
    .map(([name, value]) => [name, settingText(value)]);
}

/** @param {any} value */
function settingText(value) {
  if (Array.isArray(value) && value.some(isObject)) return `${value.length} of them`;
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > SHOWN_SETTING ? `${text.slice(0, SHOWN_SETTING)}…` : text;
}

/** Every choice of an answer; one of a single text for the endpoints that know no choices.
 * @param {any} response a line of an output or error file @param {string | null} text the answer in words
 * @returns {Choice[]} */
export function choicesOf(response, text) {
  const body = response?.response?.body;
  const choices = Array.isArray(body?.choices) ? body.choices : [];
  if (choices.length === 0)
    return text === null ? [] : [{ text, reasoning: reasoningIn(body), finish: null }];
  return choices.map((/** @type {any} */ choice, /** @type {number} */ index) => ({
    text:
      choices.length === 1 && index === 0 && text !== null
        ? text
        : (choice?.message?.content ?? choice?.text ?? ""),
    reasoning: String(choice?.message?.reasoning_content ?? choice?.message?.reasoning ?? ""),
    finish: choice?.finish_reason ?? null,
  }));
}

/** @param {any} body of the responses endpoint */
function reasoningIn(body) {
  const items = Array.isArray(body?.output)
    ? body.output.filter((/** @type {any} */ item) => item?.type === "reasoning")
    : [];
  return items
    .flatMap((/** @type {any} */ item) => [...(item.summary ?? []), ...(item.content ?? [])].map(partText))
    .join("\n");
}

/** What went wrong; null when nothing did.
 * @param {any} response @returns {{ code: string, message: string } | null} */
export function errorOf(response) {
  const error = response?.error ?? response?.response?.body?.error ?? null;
  return isObject(error)
    ? { code: String(error.code ?? error.type ?? "error"), message: String(error.message ?? "") }
    : null;
}

/** @param {any} value */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
