// Actions on several batches at once: counted anew and asked about first, then done one after the other.

import { callJson } from "../shared/api.js";
import { batchPath, displayName } from "../shared/batches.js";
import { buttonText, outcomeText, planOf, questionOf, tooLateText } from "../shared/bulk_plan.js";
import { confirm } from "../shared/confirm.js";
import { el, icon, setText, show } from "../shared/dom.js";
import { integer, plural } from "../shared/format.js";
import { createNotice, messageOf } from "../shared/page.js";
import { retryBatch } from "../shared/retrying.js";

/** @typedef {import("../shared/wire.js").Batch} Batch */
/** @typedef {import("../shared/bulk_plan.js").Plan} Plan */
/** @typedef {"cancel" | "retry"} Kind */

/**
 * @param {HTMLElement} bar
 * @param {import("../shared/batch_rows.js").Selection} selection
 * @param {{ changed: () => void }} page
 */
export function createBulkBar(bar, selection, { changed }) {
  const count = el("b");
  const notice = createNotice({ closable: true });
  const clear = el(
    "button",
    { type: "button", class: "quiet icon-only", "aria-label": "Select nothing", title: "Select nothing" },
    icon("cross"),
  );
  let isActing = false;
  const buttons = { cancel: createButton("cancel", "ban"), retry: createButton("retry", "retry") };
  clear.addEventListener("click", () => selection.choose(selection.batches(), false));
  bar.replaceChildren(el("span", {}, count, clear), buttons.cancel.node, buttons.retry.node);

  /** @param {Kind} kind @param {string} name of its icon */
  function createButton(kind, name) {
    const word = el("span");
    const node = el("button", { type: "button" }, icon(name), word);
    node.addEventListener("click", () => void start(kind));
    return { node, word };
  }

  /** @param {Kind} kind */
  async function start(kind) {
    if (isActing) return;
    isActing = true;
    await act(kind).catch((error) => notice.say("bad", messageOf(error)));
    isActing = false;
  }

  /** @param {Kind} kind */
  async function act(kind) {
    /** @type {Batch[]} */
    const selected = await Promise.all(selection.batches().map(({ id }) => callJson(batchPath(id))));
    const plan = planOf(kind, selected);
    if (plan.batches.length === 0) return notice.say("warn", tooLateText(plan, selected));
    if (!(await confirm(questionOf(plan)))) return;
    const { requests, failures } = await carryOut(plan, (text) => notice.say("", text));
    notice.say(
      failures.length > 0 ? "bad" : "ok",
      el("p", {}, outcomeText(plan, plan.batches.length - failures.length, requests)),
      ...failures,
    );
    selection.choose(plan.batches, false);
    changed();
  }

  return {
    update() {
      const selected = selection.batches();
      show(bar, selected.length > 0);
      setText(count, `${integer(selected.length)} selected`);
      for (const kind of /** @type {Kind[]} */ (["cancel", "retry"])) {
        const plan = planOf(kind, selected);
        show(buttons[kind].node, plan.batches.length > 0);
        setText(buttons[kind].word, buttonText(plan));
      }
    },
  };
}

/** One after the other; what one batch answers does not keep the next from its turn.
 * @param {Plan} plan @param {(text: string) => void} report */
async function carryOut({ kind, batches }, report) {
  const failures = [];
  let requests = 0;
  for (const [index, batch] of batches.entries()) {
    report(
      `${kind === "cancel" ? "Cancelling" : "Retrying"} ${integer(index + 1)} of ${plural(batches.length, "batch", "batches")}…`,
    );
    try {
      if (kind === "retry") requests += (await retryBatch(batch.id)).total_requests;
      else await callJson(`${batchPath(batch.id)}/cancel`, { method: "POST" });
    } catch (error) {
      failures.push(el("p", {}, `“${displayName(batch)}”: ${messageOf(error)}`));
    }
  }
  return { requests, failures };
}
