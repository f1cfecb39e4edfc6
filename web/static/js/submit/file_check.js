// Checks a whole input file as the server will: every line by itself, then against the others and the limits.

import { isBlank, readLines, textOf } from "../shared/parsers.js";
import { createSampler } from "./estimate.js";
import { checkLine } from "./input_rules.js";

export const MAX_REPORTED_ERRORS = 100;
const PREVIEW_LINES = 5;
const PREVIEW_CHARACTERS = 600;
const PAUSE_EVERY_MS = 24;

/** @typedef {import("./input_rules.js").LineError & { text?: string }} FileError */
/** @typedef {{ maxRequests: number, maxFileBytes: number, maxLineBytes: number }} Limits */
/**
 * @typedef {{
 *   requests: number, endpoint: string | null, models: Map<string, number>, errors: FileError[], totalErrors: number,
 *   preview: { line: number, customId: string, text: string }[], tooMany: boolean, tooBig: boolean, bytes: number,
 *   sample: import("./estimate.js").Sample | null,
 * }} Report `errors` holds the first of `totalErrors`
 */

/**
 * @param {{ size: number, stream: () => ReadableStream<Uint8Array> }} file @param {Limits} limits
 * @param {{ signal?: AbortSignal, onProgress?: (bytes: number) => void }} [watch]
 * @returns {Promise<Report>} rejects when aborted, or when the file can no longer be read
 */
export async function checkFile(file, limits, { signal, onProgress } = {}) {
  const checker = createChecker(limits, file.size);
  if (checker.report.tooBig) return checker.report;
  let pausedAt = performance.now();
  for await (const lines of readLines(file.stream(), limits.maxLineBytes)) {
    for (const line of lines) checker.take(line);
    signal?.throwIfAborted();
    if (performance.now() - pausedAt > PAUSE_EVERY_MS) {
      onProgress?.(checker.report.bytes);
      await new Promise((resolve) => setTimeout(resolve)); // let the page breathe
      pausedAt = performance.now();
    }
  }
  checker.end();
  return checker.report;
}

/** @param {Limits} limits @param {number} size */
function createChecker(limits, size) {
  /** @type {Report} */
  const report = {
    requests: 0,
    endpoint: null,
    models: new Map(),
    errors: [],
    totalErrors: 0,
    preview: [],
    tooMany: false,
    tooBig: size > limits.maxFileBytes,
    bytes: 0,
    sample: null,
  };
  /** @type {Map<string, number>} */
  const firstLineOf = new Map();
  const sampler = createSampler();

  /** @param {import("./input_rules.js").LineError[]} errors @param {string | null} text */
  function add(errors, text) {
    report.totalErrors += errors.length;
    const room = MAX_REPORTED_ERRORS - report.errors.length;
    report.errors.push(
      ...errors.slice(0, room).map((error) => ({ ...error, text: text?.slice(0, PREVIEW_CHARACTERS) })),
    );
  }

  return {
    report,
    /** @param {import("../shared/parsers.js").Line} line */
    take({ number, bytes }) {
      report.bytes += (bytes?.length ?? limits.maxLineBytes) + 1;
      if (bytes && isBlank(bytes)) return;
      report.requests += 1;
      if (report.requests > limits.maxRequests) {
        report.tooMany = true;
        return;
      }
      if (!bytes) {
        add(
          [
            {
              line: number,
              code: "line_too_long",
              message: `The line is longer than ${limits.maxLineBytes} bytes.`,
              param: null,
            },
          ],
          null,
        );
        return;
      }
      const text = textOf(bytes);
      const { request, errors, customId } = checkLine(text, number, report.endpoint);
      add([...errors, ...duplicates(firstLineOf, customId, number)], text);
      if (request) report.endpoint = request.url;
      if (request) sampler.take(report.requests, text ?? "");
      if (request?.model) report.models.set(request.model, (report.models.get(request.model) ?? 0) + 1);
      if (request && customId && report.preview.length < PREVIEW_LINES) {
        report.preview.push({ line: number, customId, text: promptOf(text ?? "") });
      }
    },
    end() {
      report.sample = sampler.result();
    },
  };
}

/** A custom_id is taken by the first line that has it, be that line good or bad.
 * @param {Map<string, number>} firstLineOf @param {string | null} customId @param {number} line
 * @returns {import("./input_rules.js").LineError[]} */
function duplicates(firstLineOf, customId, line) {
  if (customId === null) return [];
  const first = firstLineOf.get(customId);
  if (first === undefined) firstLineOf.set(customId, line);
  if (first === undefined) return [];
  return [
    {
      line,
      code: "duplicate_custom_id",
      message: `'custom_id' '${customId}' was already used on line ${first}.`,
      param: "custom_id",
    },
  ];
}

/** What an accepted line asks, in words.
 * @param {string} text @returns {string} */
export function promptOf(text) {
  const { body } = JSON.parse(text);
  const last = Array.isArray(body.messages)
    ? body.messages.at(-1)?.content
    : (body.prompt ?? body.input ?? body.query);
  const words = Array.isArray(last) ? last.map((part) => part?.text ?? JSON.stringify(part)).join(" ") : last;
  return (typeof words === "string" ? words : JSON.stringify(body)).slice(0, PREVIEW_CHARACTERS);
}

/** The text of some lines of a file, for errors the server found; or all of it, for a trial.
 * @param {{ stream: () => ReadableStream<Uint8Array> }} file @param {number[]} numbers @param {number} maxLineBytes
 * @param {number} [maxCharacters]
 * @returns {Promise<Map<number, string>>} */
export async function linesOf(file, numbers, maxLineBytes, maxCharacters = PREVIEW_CHARACTERS) {
  const wanted = new Set(numbers);
  const last = Math.max(...numbers);
  const found = new Map();
  for await (const lines of readLines(file.stream(), maxLineBytes)) {
    for (const { number, bytes } of lines) {
      if (wanted.has(number) && bytes) found.set(number, (textOf(bytes) ?? "").slice(0, maxCharacters));
    }
    if ((lines.at(-1)?.number ?? 0) >= last) break;
  }
  return found;
}
