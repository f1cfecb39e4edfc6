// Shows the estimate beside the check: how much it is, how long it takes, when it starts. Fetched when a file
// has been chosen.

import { byId, el, setText, show } from "../shared/dom.js";
import { compact, durationRange, integer, plural, rate } from "../shared/format.js";
import { estimateOf } from "./estimate.js";

/** @typedef {import("./estimate.js").Estimate} Estimate */

/** Needs #estimate with #estimate-facts and #estimate-how on the page.
 * @param {import("./estimate.js").Plan} plan @param {import("./estimate.js").Machine} machine */
export function showEstimate(plan, machine) {
  const { requests, sample } = plan;
  const estimate = estimateOf(plan, machine);
  const facts = [
    ["requests", integer(requests)],
    ["tokens in", about(estimate.inputTokens)],
    [
      "tokens out",
      estimate.outputTokens === null
        ? "not known"
        : estimate.outputTokens === 0
          ? "none"
          : about(estimate.outputTokens, estimate.isAtMost),
    ],
    ["runs for", estimate.seconds ? durationRange(estimate.seconds) : "not known"],
    ["starts", startWords(estimate)],
  ];
  byId("estimate-facts").replaceChildren(
    ...facts.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, value))),
  );
  setText(byId("estimate-how"), howWords(estimate, sample.lines));
  show(byId("estimate"), true);
}

/** Two digits: more would claim too much.
 * @param {number} tokens @param {boolean} [atMost] */
function about(tokens, atMost = false) {
  return `${atMost ? "at most" : "about"} ${compact(Number(tokens.toPrecision(2))).replace(".0 ", " ")}`;
}

/** @param {Pick<Estimate, "ahead" | "wait" | "hindrance">} estimate */
export function startWords({ ahead, wait, hindrance }) {
  if (hindrance === "refused") return "not accepted now";
  const after = ahead === 0 ? "" : `after ${plural(ahead, "batch", "batches")}`;
  if (hindrance === "no worker") return after ? `when a worker runs, ${after}` : "when a worker runs";
  if (ahead === 0) return "at once";
  return wait ? `${after}, ${durationRange(wait)}` : after;
}

/** @param {Estimate} estimate @param {number} sampled */
function howWords({ seconds, tokensPerSecond, rateOf, outputTokens }, sampled) {
  const sample = `Tokens are guessed from ${plural(sampled, "line")} of the file.`;
  if (seconds) {
    const pace = tokensPerSecond ? `${rate(tokensPerSecond)} tokens/s, ` : "";
    return `${sample} Time at ${pace}${rateOf ? `as “${rateOf}” ran` : "the rate of now"}.`;
  }
  return `${sample} ${outputTokens === null ? "The lines set no limit for the answers, and this model" : "This model"} has not finished a batch lately: a trial run tells more.`;
}
