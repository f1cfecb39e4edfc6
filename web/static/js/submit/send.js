// Sends what is filled in, all of it or its first lines, and says what came of it. Fetched when a file has been chosen.

import { ApiError, enterKey, isRefused } from "../shared/api.js";
import { messageOf } from "../shared/page.js";
import { createAttempts, upload } from "../shared/upload.js";
import { showProblems } from "./check_view.js";
import { linesOf } from "./file_check.js";
import { showProgress, showReceipt } from "./form.js";
import { createTrial } from "./trial.js";

/** @typedef {import("../shared/upload.js").Submission} Submission */
/** @typedef {ReturnType<typeof createSender>} Sender */

/**
 * @param {{ notice: ReturnType<typeof import("../shared/page.js").createNotice>, limits:
 * import("./file_check.js").Limits, ended: () => void }} page `ended`: a trial is over
 */
export function createSender({ notice, limits, ended }) {
  const attempts = createAttempts();
  const trialAttempts = createAttempts();
  const trial = createTrial({ ended });

  /** @param {unknown} error @param {File} sent @param {import("../shared/upload.js").Attempts} tried */
  async function explain(error, sent, tried) {
    if (error instanceof DOMException && error.name === "AbortError") {
      notice.say(
        "",
        "Cancelled. If it had already arrived, the batch is on the dashboard; sending it again does not make a second one.",
      );
      return;
    }
    if (!(error instanceof ApiError)) {
      notice.say(
        "bad",
        `${messageOf(error)} Nothing is lost: ${tried === attempts ? "submit" : "try"} again and it counts once.`,
      );
      return;
    }
    if (error.status === 401 && (await enterKey("The API asks for its key."))) {
      notice.say("", "Key saved. Submit again.");
      return;
    }
    if (isRefused(error)) tried.settled(); // refused for good: what is sent next is a new attempt
    notice.say(
      "bad",
      error.retryAfterSeconds ? `${error.message} Try again in ${error.retryAfterSeconds} s.` : error.message,
    );
    if (error.errors.length > 0) await showErrors(error, sent);
  }

  /** @param {ApiError} error @param {File} sent */
  async function showErrors(error, sent) {
    const texts = await linesOf(
      sent,
      error.errors.map(({ line }) => line),
      limits.maxLineBytes,
    ).catch(() => new Map());
    showProblems({
      errors: error.errors.map((one) => ({ ...one, text: texts.get(one.line) })),
      total: error.totalErrors,
      source: "server",
    });
  }

  return {
    /** @param {Submission} submission @param {AbortSignal} signal */
    async send(submission, signal) {
      try {
        const receipt = await upload(submission, attempts.keyOf(submission), {
          signal,
          onProgress: showProgress,
        });
        attempts.settled();
        trial.hide();
        showReceipt(receipt);
      } catch (error) {
        await explain(error, submission.file, attempts);
      }
    },
    /**
     * @param {Submission} submission of the whole file
     * @param {number[]} lines their numbers
     * @param {AbortSignal} signal
     */
    async tryLines(submission, lines, signal) {
      try {
        const first = await trial.of(submission, lines, limits.maxLineBytes);
        const key = trialAttempts.keyOf({ ...first, file: submission.file }); // its own file is a new one each time
        const receipt = await upload(first, key, { signal, onProgress: showProgress });
        trialAttempts.settled();
        trial.watch(receipt);
      } catch (error) {
        await explain(error, submission.file, trialAttempts);
      }
    },
    hideTrial: trial.hide,
  };
}
