// What a batch will take, before it is sent: tokens from a sample of its lines, time from what the machine
// did lately. Pure.

import { displayName, doneCount, isOpen, tookSeconds } from "../shared/batches.js";
import { promptOf } from "../shared/row_reading.js";
import { speedOf } from "../shared/status_cards.js";

const SAMPLE_SIZE = 256;
const TOKENS_PER_MESSAGE = 4;
const CHARACTERS_PER_TOKEN = 4;
const CHARACTERS_PER_TOKEN_BEYOND_ASCII = 1.5;
const NO_WORDS = ["/v1/embeddings", "/score", "/v1/score", "/rerank", "/v1/rerank"];
/** How far off an estimate is said to be. */
const [LESS, MORE] = [0.75, 1.35];

/** @typedef {import("../shared/wire.js").Batch} Batch */
/**
 * @typedef {{ lines: number, inputTokens: number, maxTokens: number | null }} Sample means per request;
 * `maxTokens` null when not every line has a limit
 */
/** @typedef {"refused" | "no worker" | null} Hindrance what keeps any batch from its start now */
/**
 * @typedef {{
 *   inputTokens: number, outputTokens: number | null, isAtMost: boolean, seconds: [number, number] | null,
 *   tokensPerSecond: number | null, rateOf: string, ahead: number, wait: [number, number] | null, hindrance: Hindrance,
 * }} Estimate `rateOf`: the batch whose rate it is, "" for the rate of now; `wait` null when nobody knows
 */

/** Tokens of a text, roughly: four signs each in English, fewer in scripts that say more with one.
 * @param {string} text */
export function tokensOf(text) {
  let beyond = 0;
  for (let at = 0; at < text.length; at += 1) if (text.charCodeAt(at) > 0x2ff) beyond += 1;
  return (text.length - beyond) / CHARACTERS_PER_TOKEN + beyond / CHARACTERS_PER_TOKEN_BEYOND_ASCII;
}

/** Measures every line at first, then ever fewer, so that the sample is spread over the file and small. */
export function createSampler() {
  /** @type {{ input: number, max: number | null }[]} */
  let kept = [];
  let stride = 1;
  return {
    /** @param {number} number of the request, from 1 @param {string} text its line */
    take(number, text) {
      if (number % stride !== 0) return;
      kept.push(measured(JSON.parse(text)));
      if (kept.length < SAMPLE_SIZE) return;
      kept = kept.filter((_, index) => index % 2 === 1);
      stride *= 2;
    },
    /** @returns {Sample | null} */
    result() {
      if (kept.length === 0) return null;
      const limits = kept.map(({ max }) => max).filter((max) => max !== null);
      return {
        lines: kept.length,
        inputTokens: mean(kept.map(({ input }) => input)),
        maxTokens: limits.length === kept.length ? mean(limits) : null,
      };
    },
  };
}

/** @param {any} request */
function measured(request) {
  const { body } = request;
  const messages = promptOf(request);
  const max = body.max_completion_tokens ?? body.max_tokens ?? body.max_output_tokens;
  return {
    input: messages.reduce((sum, { text }) => sum + tokensOf(text) + TOKENS_PER_MESSAGE, 0),
    max: typeof max === "number" ? max * (typeof body.n === "number" ? body.n : 1) : null,
  };
}

/** @param {number[]} values */
function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** @typedef {{ requests: number, sample: Sample, endpoint: string, model: string, priority: number }} Plan */
/**
 * @typedef {{ worker: import("../shared/wire.js").Worker, hindrance: Hindrance, open: Batch[], finished:
 * Batch[], aliases: (model: string) => string[] }} Machine
 */

/** @param {Plan} plan @param {Machine} machine @returns {Estimate} */
export function estimateOf(plan, machine) {
  const { requests, sample } = plan;
  const names = machine.aliases(plan.model);
  const last = machine.finished.find(
    (batch) =>
      batch.endpoint === plan.endpoint && names.includes(batch.model) && batch.request_counts.completed > 0,
  );
  const perAnswer = answerTokens(plan, last);
  const speed = speedOf(machine.worker);
  const isNow = speed > 0 && names.includes(machine.worker.model ?? "");
  const pace = last ? paceOf(last) : null;
  const tokensPerSecond = isNow ? speed : (pace?.tokens ?? null);
  const outputTokens = perAnswer === null ? null : requests * perAnswer;
  const seconds = NO_WORDS.includes(plan.endpoint)
    ? timeOf(requests, pace?.requests)
    : timeOf(outputTokens, tokensPerSecond);
  const ahead = machine.open.filter((batch) => isOpen(batch) && batch.priority >= plan.priority);
  return {
    inputTokens: requests * sample.inputTokens,
    outputTokens,
    isAtMost: !last && perAnswer !== null && perAnswer > 0,
    seconds,
    tokensPerSecond: seconds ? tokensPerSecond : null,
    rateOf: isNow || !last ? "" : displayName(last),
    ahead: ahead.length,
    wait: waitOf(ahead),
    hindrance: machine.hindrance,
  };
}

/** @param {Plan} plan @param {Batch | undefined} last */
function answerTokens({ endpoint, sample }, last) {
  if (NO_WORDS.includes(endpoint)) return 0;
  const usual = last?.usage ? last.usage.output_tokens / Math.max(1, last.request_counts.completed) : null;
  if (usual === null) return sample.maxTokens;
  return sample.maxTokens === null ? usual : Math.min(usual, sample.maxTokens);
}

/** Answers and tokens a second of a finished batch. Its times are whole seconds.
 * @param {Batch} batch */
function paceOf(batch) {
  const seconds = Math.max(1, tookSeconds(batch) ?? 1);
  return { requests: doneCount(batch) / seconds, tokens: (batch.usage?.output_tokens ?? 0) / seconds };
}

/** @param {number | null} amount @param {number | null | undefined} rate @returns {[number, number] | null} */
function timeOf(amount, rate) {
  if (amount === null || !rate) return null;
  return [(amount / rate) * LESS, (amount / rate) * MORE];
}

/** Until the last of those ahead is done.
 * @param {Batch[]} ahead @returns {[number, number] | null} */
function waitOf(ahead) {
  if (ahead.length === 0) return [0, 0];
  const ranges = ahead.map(({ progress }) => progress.eta_seconds);
  if (ranges.some((range) => range === null)) return null;
  return [
    Math.max(...ranges.map((range) => range?.[0] ?? 0)),
    Math.max(...ranges.map((range) => range?.[1] ?? 0)),
  ];
}
