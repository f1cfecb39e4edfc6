// Shared parsing: JSONL as a stream of lines, answers of every endpoint, JSON and scores inside an answer. Pure.

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;

/** @typedef {{ number: number, bytes: Uint8Array | null }} Line `bytes` is null for a line longer than allowed */

/**
 * Cuts a stream into lines without their line ends, one array per chunk that ended any. Numbers count every line, blank
 * ones too. Memory stays bounded: what is longer than `maxLineBytes` is dropped while it passes.
 * @param {ReadableStream<Uint8Array>} stream @param {number} maxLineBytes @returns {AsyncGenerator<Line[]>}
 */
export async function* readLines(stream, maxLineBytes) {
  const reader = stream.getReader();
  const cutter = createCutter(maxLineBytes);
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = cutter.cut(value);
      if (lines.length > 0) yield lines;
    }
    const last = cutter.end();
    if (last) yield [last];
  } finally {
    await reader.cancel().catch(() => undefined); // the caller stopped early, or the file went away
  }
}

/** @param {number} maxLineBytes */
function createCutter(maxLineBytes) {
  let number = 0;
  /** @type {Uint8Array[]} */
  let kept = [];
  let length = 0;

  /** @param {Uint8Array} piece */
  function keep(piece) {
    length += piece.length;
    if (length <= maxLineBytes + 4) kept.push(piece); // room for a line end and a byte order mark
  }

  /** @returns {Line} */
  function finish() {
    number += 1;
    const whole = joined(kept, Math.min(length, maxLineBytes + 5));
    const bytes = trimmed(whole, number === 1);
    const fits = length <= maxLineBytes + 4 && bytes.length <= maxLineBytes;
    kept = [];
    length = 0;
    return { number, bytes: fits ? bytes : null };
  }

  return {
    /** @param {Uint8Array} chunk @returns {Line[]} */
    cut(chunk) {
      const lines = [];
      let start = 0;
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
        keep(chunk.subarray(start, end));
        lines.push(finish());
        start = end + 1;
      }
      if (start < chunk.length) keep(chunk.slice(start));
      return lines;
    },
    /** @returns {Line | null} a last line without a line end */
    end() {
      return length > 0 ? finish() : null;
    },
  };
}

/** @param {Uint8Array[]} pieces @param {number} atMost */
function joined(pieces, atMost) {
  if (pieces.length === 1) return pieces[0];
  const whole = new Uint8Array(
    Math.min(
      atMost,
      pieces.reduce((sum, piece) => sum + piece.length, 0),
    ),
  );
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Without a byte order mark (first line only) and carriage returns at the end.
 * @param {Uint8Array} bytes @param {boolean} first */
function trimmed(bytes, first) {
  const start = first && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  let end = bytes.length;
  while (end > start && bytes[end - 1] === CARRIAGE_RETURN) end -= 1;
  return bytes.subarray(start, end);
}

/** Whether a line counts as a request at all.
 * @param {Uint8Array} bytes */
export function isBlank(bytes) {
  return bytes.every((byte) => byte === 32 || (byte >= 9 && byte <= 13));
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @param {Uint8Array} bytes @returns {string | null} null when the bytes are not UTF-8 */
export function textOf(bytes) {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return null;
  }
}

/**
 * @typedef {{
 *   customId: string, ok: boolean, statusCode: number | null, text: string, errorCode: string | null,
 *   inputTokens: number, outputTokens: number, finishReason: string | null,
 * }} Answer
 */

/** A line of an output or error file as what a person asks about it.
 * @param {any} row @returns {Answer} */
export function readAnswer(row) {
  const body = row?.response?.body ?? {};
  const usage = body.usage ?? {};
  const error = row?.error ?? body.error ?? null;
  return {
    customId: String(row?.custom_id ?? ""),
    ok: error === null && row?.response?.status_code === 200,
    statusCode: row?.response?.status_code ?? null,
    text: error ? String(error.message ?? error.code ?? "") : answerText(body),
    errorCode: error ? String(error.code ?? error.type ?? "unknown_error") : null,
    inputTokens: usage.input_tokens ?? usage.prompt_tokens ?? 0,
    outputTokens: usage.output_tokens ?? usage.completion_tokens ?? 0,
    finishReason:
      body.choices?.[0]?.finish_reason ?? (Array.isArray(body.output) ? (body.status ?? null) : null),
  };
}

/** The answer in words, whichever endpoint gave it: chat, completions, responses; for embeddings their shape.
 * @param {any} body @returns {string} */
export function answerText(body) {
  const choice = body?.choices?.[0];
  if (typeof choice?.message?.content === "string") return choice.message.content;
  if (typeof choice?.text === "string") return choice.text;
  if (Array.isArray(choice?.message?.tool_calls)) return JSON.stringify(choice.message.tool_calls);
  if (Array.isArray(body?.output)) return outputText(body.output);
  if (Array.isArray(body?.data) && Array.isArray(body.data[0]?.embedding))
    return `embedding of ${body.data[0].embedding.length} numbers`;
  if (Array.isArray(body?.data) && typeof body.data[0]?.score === "number")
    return `score ${body.data[0].score}`;
  return "";
}

/** @param {any[]} output */
function outputText(output) {
  const parts = output.flatMap((item) => (Array.isArray(item?.content) ? item.content : []));
  return parts.map((part) => (typeof part?.text === "string" ? part.text : "")).join("");
}

/** The JSON value an answer consists of or contains: bare, or in a markdown fence. Undefined when there is none.
 * @param {string} text @returns {any} */
export function jsonIn(text) {
  const fenced = /```(?:json|JSON)?[^\S\n]*\n([\s\S]*?)\n?[^\S\n]*```/.exec(text);
  for (const candidate of [text, fenced?.[1], betweenBraces(text)]) {
    const value = candidate === undefined ? undefined : parsed(candidate);
    if (value !== null && typeof value === "object") return value;
  }
  return undefined;
}

/** @param {string} text */
function betweenBraces(text) {
  const start = text.indexOf("{");
  const end = text.lastIndexOf("}");
  return start >= 0 && end > start ? text.slice(start, end + 1) : undefined;
}

/** @param {string} text @returns {any} */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The score an answer gives: its JSON's `score`, `rating` or `overall`, else "score: 7" in its words.
 * @param {string} text @returns {number | null} */
export function scoreIn(text) {
  const value = jsonIn(text);
  for (const name of ["score", "rating", "overall", "overall_score"]) {
    const number = typeof value?.[name] === "string" ? Number.parseFloat(value[name]) : value?.[name];
    if (typeof number === "number" && Number.isFinite(number)) return number;
  }
  const spoken = /\b(?:score|rating)\b[^\w-]{0,6}(-?\d+(?:\.\d+)?)/i.exec(text);
  return spoken ? Number(spoken[1]) : null;
}
