// The first lines of a file as a batch of their own, its answers shown as they come.

import { callJson } from "../shared/api.js";
import { batchPath, isOpen, requestState, stateOf } from "../shared/batches.js";
import { byId, el, reconcile, setAttribute, setState, setText, show } from "../shared/dom.js";
import { compact } from "../shared/format.js";
import { createPoller } from "../shared/live.js";
import { messageOf } from "../shared/page.js";
import { linesOf } from "./file_check.js";

const EVERY_MS = 1000;
const MAX_NAME = 512;
const FIRST = 50; // goes before ordinary batches

/** @typedef {import("../shared/upload.js").Submission} Submission */
/** @typedef {[import("../shared/wire.js").Batch, import("../shared/wire.js").AnswerTable]} Reading */

/** @param {{ ended: () => void }} page */
export function createTrial({ ended }) {
  let id = "";
  let sent = 0; // lines
  const poller = createPoller({ work: read, onDone: draw, onFail: (error) => say(messageOf(error)) });
  poller.every(0);

  /** The batch first: once it has ended nothing is read again, so its last answers must be among those read with it.
   * @param {AbortSignal} signal @returns {Promise<Reading>} */
  async function read(signal) {
    const path = batchPath(id);
    const batch = await callJson(path, { signal });
    return [batch, await callJson(`${path}/answers?limit=${sent}`, { signal })];
  }

  return {
    /** What to send of a submission to try its first lines.
     * @param {Submission} submission of the whole file
     * @param {number[]} lines their numbers
     * @param {number} maxLineBytes
     * @returns {Promise<Submission>} */
    async of(submission, lines, maxLineBytes) {
      const texts = await linesOf(submission.file, lines, maxLineBytes, Infinity);
      const file = new File(
        [...texts.values()].map((text) => `${text}\n`),
        `trial of ${submission.file.name}`,
      );
      const name = `trial of ${submission.metadata.name ?? submission.file.name}`.slice(0, MAX_NAME);
      return {
        ...submission,
        file,
        metadata: { ...submission.metadata, name },
        priority: Math.max(FIRST, submission.priority),
      };
    },
    /** Shows its answers from now on.
     * @param {import("../shared/upload.js").Receipt} receipt */
    watch(receipt) {
      [id, sent] = [receipt.batch_id, receipt.total_requests];
      drawAnswers([]);
      byId("trial-link").href = `index.html?batch=${encodeURIComponent(id)}`;
      setState(byId("trial-state"), { word: "sent", tone: "run", icon: "dots" });
      say("Its answers appear here.");
      show(byId("trial"), true);
      byId("trial-title").focus();
      poller.every(EVERY_MS);
      void poller.now();
    },
    hide() {
      poller.every(0);
      show(byId("trial"), false);
    },
  };

  /** @param {Reading} reading */
  function draw([batch, answers]) {
    setState(byId("trial-state"), stateOf(batch));
    drawAnswers(answers.data);
    say(
      isOpen(batch)
        ? "Its answers appear here."
        : answers.data.length === 0
          ? "It ended without an answer."
          : "",
    );
    if (isOpen(batch) || !answers.complete) return;
    poller.every(0);
    ended();
  }
}

/** @param {import("../shared/wire.js").AnswerRow[]} rows */
function drawAnswers(rows) {
  reconcile(byId("trial-answers"), rows, ({ line }) => String(line), createAnswer);
  show(byId("trial-answers"), rows.length > 0);
}

/** @param {string} text */
function say(text) {
  setText(byId("trial-said"), text);
  show(byId("trial-said"), text !== "");
}

/** @returns {import("../shared/dom.js").View} */
function createAnswer() {
  const at = el("span", { class: "at" });
  const id = el("b", { class: "mono break" });
  const state = el("span");
  const facts = el("span", { class: "muted" });
  const answer = el("div", { class: "said-box", tabindex: "0", role: "region" });
  return {
    node: el("li", {}, at, el("div", {}, el("p", { class: "row" }, id, state, facts), answer)),
    /** @param {import("../shared/wire.js").AnswerRow} row */
    update(row) {
      setText(at, String(row.line));
      setText(id, row.custom_id);
      setState(state, requestState(row.status));
      setText(facts, row.output_tokens ? `${compact(row.output_tokens)} tokens` : (row.error_code ?? ""));
      setText(answer, row.text + (row.is_cut ? "…" : ""));
      setAttribute(answer, "aria-label", `Answer to ${row.custom_id}`);
    },
  };
}
