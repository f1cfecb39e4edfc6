// The server's rules for one input line, with its codes and words, so that a person hears of a problem before the
// upload. The server has the last word, and alone says whether it takes free grammars. Pure; a test holds this file to
// `batch_app/input/request_lines.py` and `batch_app/input/body_rules.py`.

/** @typedef {{ line: number, code: string, message: string, param: string | null }} LineError */
/** @typedef {{ url: string, model: string | null }} RequestLine */
/** @typedef {[code: string, message: string]} Problem */

/** Each endpoint with the fields its body cannot do without. */
export const ENDPOINTS = new Map([
  ["/v1/chat/completions", ["messages"]],
  ["/v1/completions", ["prompt"]],
  ["/v1/responses", ["input"]],
  ["/v1/embeddings", ["input"]],
  ["/score", []],
  ["/v1/score", []],
  ["/rerank", ["query", "documents"]],
  ["/v1/rerank", ["query", "documents"]],
]);
const MAX_CUSTOM_ID = 512;
const MAX_DEPTH = 100;
const MAX_SEQUENCES = 128;
const MAX_CONSTRAINT_BYTES = 64 * 1024;
const MEDIA_KEYS = ["image_url", "audio_url", "video_url", "file_url"];
/** What no body may ask for, and why. */
const REFUSED = {
  background: "a batch is in the background already",
  chat_template: "the template is the model's; one from a client would be run on the server",
  ec_transfer_params: "it moves the engine's memory between machines",
  kv_transfer_params: "it moves the engine's memory between machines",
  media_io_kwargs: "it changes what reading media costs",
  mm_processor_kwargs: "it changes what reading media costs",
  prompt_embeds: "tensors made by a client can crash the engine",
};
const CONTROL_CHARACTERS = /\p{Cc}/u;

/** @typedef {{ request: RequestLine | null, errors: LineError[], customId: string | null }} Checked
 * `request` is null when there are errors; a `customId` is taken all the same. */

/**
 * Checks one line by itself; every error it has is listed.
 * @param {string | null} text null when the bytes are not UTF-8 @param {number} line
 * @param {string | null} [endpoint] the file's; null when any will do
 * @returns {Checked}
 */
export function checkLine(text, line, endpoint = null) {
  const value = text === null ? undefined : parse(text);
  if (value === undefined)
    return refuse(line, "invalid_json_line", "This line is not parseable as valid JSON.");
  if (!isObject(value))
    return refuse(line, "invalid_json_line", "This line is valid JSON but not an object.");
  const errors = problems(value, endpoint).map(([code, message, param]) => ({ line, code, message, param }));
  const customId = checkCustomId(value.custom_id) === null ? value.custom_id : null;
  if (errors.length > 0) return { request: null, errors, customId };
  const model = typeof value.body.model === "string" ? value.body.model : null;
  return { request: { url: value.url, model }, errors, customId };
}

/** @param {number} line @param {string} code @param {string} message @returns {Checked} */
function refuse(line, code, message) {
  return { request: null, errors: [{ line, code, message, param: null }], customId: null };
}

/** JSON as strictly as the server takes it: half a character (a lone surrogate) and endless numbers are refused.
 * @param {string} text @returns {any} undefined when it is not JSON */
function parse(text) {
  const suspicious = /\\u[dD][89a-fA-F]/.test(text) || /\d[eE]\+?\d{3}|\d{309}/.test(text);
  try {
    return suspicious ? JSON.parse(text, refuseHalves) : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @param {string} key @param {any} value */
function refuseHalves(key, value) {
  const broken =
    !isWhole(key) ||
    (typeof value === "string" && !isWhole(value)) ||
    value === Infinity ||
    value === -Infinity;
  if (broken) throw new SyntaxError("not acceptable JSON");
  return value;
}

/** @param {string} text */
function isWhole(text) {
  return !/\p{Surrogate}/u.test(text);
}

/** @type {Record<string, (value: any) => Problem | null>} */
const FIELD_CHECKS = { custom_id: checkCustomId, method: checkMethod, url: checkUrl, body: checkBody };

/** @param {any} value @param {string | null} endpoint @returns {[string, string, string | null][]} */
function problems(value, endpoint) {
  /** @type {[string, string, string | null][]} */
  const found = [];
  for (const [name, check] of Object.entries(FIELD_CHECKS)) {
    const given = Object.hasOwn(value, name) ? value[name] : null;
    const problem =
      given === null
        ? /** @type {Problem} */ (["missing_required_parameter", `Missing required parameter: '${name}'.`])
        : check(given);
    if (problem) found.push([...problem, name]);
  }
  const isForeign = endpoint !== null && ENDPOINTS.has(value.url) && value.url !== endpoint;
  if (isForeign)
    found.push(["invalid_url", `'url' is ${value.url}, but this batch's endpoint is ${endpoint}.`, "url"]);
  // Which fields the body of a foreign line needs is not known.
  return isObject(value.body) ? [...found, ...bodyProblems(value.body, isForeign ? null : value.url)] : found;
}

/** @param {any} value @returns {Problem | null} */
function checkCustomId(value) {
  if (typeof value !== "string")
    return ["invalid_type", `Invalid type for 'custom_id': expected a string, got ${kind(value)}.`];
  const length = [...value].length;
  if (length === 0 || length > MAX_CUSTOM_ID)
    return ["invalid_value", `'custom_id' has ${length} characters; 1 to ${MAX_CUSTOM_ID} are allowed.`];
  return CONTROL_CHARACTERS.test(value) ? ["invalid_value", "'custom_id' has a control character."] : null;
}

/** @param {any} value @returns {Problem | null} */
function checkMethod(value) {
  return value === "POST" ? null : ["invalid_value", "'method' must be \"POST\"."];
}

/** @param {any} value @returns {Problem | null} */
function checkUrl(value) {
  return ENDPOINTS.has(value)
    ? null
    : ["invalid_url", `'url' must be one of ${[...ENDPOINTS.keys()].join(", ")}.`];
}

/** @param {any} value @returns {Problem | null} */
function checkBody(value) {
  return isObject(value)
    ? null
    : ["invalid_type", `Invalid type for 'body': expected an object, got ${kind(value)}.`];
}

/** @param {any} body @param {any} url @returns {[string, string, string][]} */
function bodyProblems(body, url) {
  /** @type {[string, string, string][]} */
  const found = [];
  if (isSomething(body.stream)) {
    found.push([
      "streaming_unsupported",
      "A batch cannot stream: remove 'stream' or set it to false.",
      "body.stream",
    ]);
  }
  for (const name of ENDPOINTS.get(url) ?? []) {
    const given = Object.hasOwn(body, name) ? body[name] : null;
    const nothing = given === null || given === "" || (Array.isArray(given) && given.length === 0);
    if (nothing) found.push(["invalid_request", `${url} needs 'body.${name}'.`, `body.${name}`]);
  }
  for (const [name, reason] of Object.entries(REFUSED)) {
    const asked = Object.hasOwn(body, name) && isSomething(body[name]);
    if (asked)
      found.push(["unsupported_parameter", `'${name}' is not possible here: ${reason}.`, `body.${name}`]);
  }
  for (const name of ["n", "best_of"]) {
    const isWrong = Object.hasOwn(body, name) && body[name] !== null && !isSequences(body[name]);
    if (isWrong)
      found.push([
        "invalid_value",
        `'${name}' must be a whole number from 1 to ${MAX_SEQUENCES}.`,
        `body.${name}`,
      ]);
  }
  const problem = contentProblem(body);
  return problem === null
    ? [...found, ...constraintProblems(body)]
    : [...found, ["invalid_request", problem, "body"]];
}

/** @param {any} value */
function isSequences(value) {
  return Number.isInteger(value) && value >= 1 && value <= MAX_SEQUENCES;
}

/** What binds the form of the answer has to be small: an engine compiles it.
 * @param {any} body @returns {[string, string, string][]} */
function constraintProblems(body) {
  const { response_format, structured_outputs, text, tools, tool_choice } = body;
  const isForced = ![undefined, null, "none", "auto"].includes(tool_choice);
  /** @type {[string, any][]} */
  const constraints = [
    ["response_format", response_format],
    ["structured_outputs", structured_outputs],
    ["text.format", isObject(text) ? text.format : null],
    ["tools", isForced ? tools : null],
  ];
  return constraints.flatMap(([name, value]) => {
    if (!isSomething(value) || (isObject(value) && value.type === "text")) return [];
    const size = new TextEncoder().encode(JSON.stringify(value)).length;
    if (size <= MAX_CONSTRAINT_BYTES) return [];
    return [
      [
        "constraint_too_large",
        `'body.${name}' has ${size} bytes; ${MAX_CONSTRAINT_BYTES} are allowed.`,
        `body.${name}`,
      ],
    ];
  });
}

/** Neither absent nor empty nor zero.
 * @param {any} value */
function isSomething(value) {
  const empty = Array.isArray(value)
    ? value.length === 0
    : isObject(value) && Object.keys(value).length === 0;
  return Boolean(value) && !empty;
}

/** Bodies nested too deeply for engines, and media that the engine would have to fetch.
 * @param {any} body @returns {string | null} */
function contentProblem(body) {
  let level = [body];
  for (let depth = 0; depth < MAX_DEPTH; depth += 1) {
    for (const item of level) {
      const address = Array.isArray(item) ? null : foreignMedia(item);
      if (address)
        return `Media must be inline data: URLs; '${address.slice(0, 80)}' would be fetched from elsewhere.`;
    }
    level = level.flatMap((item) =>
      Object.values(item).filter((child) => typeof child === "object" && child !== null),
    );
    if (level.length === 0) return null;
  }
  return `The body is nested more than ${MAX_DEPTH} levels deep.`;
}

/** @param {any} item @returns {string | null} */
function foreignMedia(item) {
  for (const key of MEDIA_KEYS) {
    const address = isObject(item[key]) ? item[key].url : item[key];
    if (typeof address === "string" && !address.startsWith("data:")) return address;
  }
  return null;
}

/** @param {any} value */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {any} value */
function kind(value) {
  if (Array.isArray(value)) return "an array";
  return (
    { string: "a string", boolean: "a boolean", object: "an object" }[/** @type {string} */ (typeof value)] ??
    "a number"
  );
}
