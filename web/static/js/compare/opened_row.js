// What an open row of a comparison has besides: the answers as they are, the prompts, and the facts. Fetched
// with the first one.

import { callJson } from "../shared/api.js";
import { batchPath } from "../shared/batches.js";
import { el } from "../shared/dom.js";
import { integer, plural } from "../shared/format.js";
import { ANSWER } from "./differences.js";

/** @typedef {import("../shared/wire.js").AnswerDetail} AnswerDetail */
/** @typedef {import("./differences.js").Line} Line */
/** @typedef {import("./rows.js").Job} Job */
/**
 * @typedef {{ texts: (string | null | undefined)[], lines: (shown: Line[], jobs: Job[]) => HTMLElement[][] }}
 * Opened `texts`: the whole answers; `lines` that come after those that are `shown`
 */

/** @typedef {{ label: typeof import("./rows.js").label, textLine: typeof import("./rows.js").textLine }} Drawing */

/**
 * @param {import("../shared/wire.js").ComparedRow} row
 * @param {string[]} batches
 * @param {Drawing} drawing how the list draws its lines
 * @returns {Promise<Opened>} */
export async function readOpened(row, batches, drawing) {
  /** @type {(AnswerDetail | null)[]} */
  const details = await Promise.all(
    row.answers.map(
      (answer, side) => answer && callJson(`${batchPath(batches[side])}/answers/${answer.line}`),
    ),
  );
  return {
    texts: details.map((detail) => detail?.text),
    lines: (shown, jobs) => fullLines(details, batches, shown, jobs, drawing),
  };
}

/**
 * @param {(AnswerDetail | null)[]} details
 * @param {string[]} batches
 * @param {Line[]} lines
 * @param {Job[]} jobs
 * @param {Drawing} drawing
 */
function fullLines(details, batches, lines, jobs, { label, textLine }) {
  const answers = details.map((detail) => detail && { ...detail, error_code: null });
  const asRow = /** @type {any} */ ({ answers });
  const whole = { label: ANSWER, values: details.map((detail) => detail?.text ?? undefined), isField: false };
  const prompts = {
    label: "prompt",
    values: details.map((detail) => promptText(detail?.request?.body)),
    isField: false,
  };
  const hasWhole = lines.some(({ label: name }) => name === ANSWER);
  return [
    ...(hasWhole ? [] : [textLine(whole, asRow, true, jobs)]),
    textLine(prompts, asRow, true, jobs),
    [label("facts"), ...details.map((detail, side) => facts(detail, batches[side]))],
  ];
}

/** What was asked, in words.
 * @param {any} body @returns {string | undefined} */
function promptText(body) {
  if (!body) return undefined;
  const asked = body.messages ?? body.prompt ?? body.input ?? body;
  if (typeof asked === "string") return asked;
  if (!Array.isArray(asked) || !asked.every((one) => typeof one?.content === "string"))
    return JSON.stringify(asked, null, 1);
  return asked.map(({ role, content }) => `${role}: ${content}`).join("\n\n");
}

/** @param {AnswerDetail | null} detail @param {string} batchId */
function facts(detail, batchId) {
  if (!detail) return el("td");
  const seconds =
    detail.started_at !== null && detail.finished_at !== null
      ? `${Math.max(0, detail.finished_at - detail.started_at).toFixed(2)} s`
      : null;
  const words = [
    `${integer(detail.input_tokens)} tokens in, ${integer(detail.output_tokens)} out`,
    detail.finish_reason,
    detail.error_code,
    seconds,
    plural(detail.attempts, "attempt"),
  ];
  const link = el(
    "a",
    { href: `index.html?${new URLSearchParams({ batch: batchId, line: String(detail.line) })}` },
    `line ${integer(detail.line)}`,
  );
  return el("td", { class: "small muted" }, words.filter((one) => one !== null).join(" · "), " · ", link);
}
