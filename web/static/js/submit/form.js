// The form: how a file gets into it, an upload under way, the receipt. Knows nothing about how anything is sent.

import { byId, el, setText, show } from "../shared/dom.js";
import { bytes, integer, plural } from "../shared/format.js";

const EXAMPLE = [
  "What is the capital of France?",
  "Translate “good morning” into Italian.",
  "Name three uses of a paper clip.",
];

/** Files dropped on the page. The whole page takes one: a near miss must not open it in the browser instead.
 * @param {(file: File) => void} choose */
export function listenForDrops(choose) {
  const zone = byId("drop");
  addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  addEventListener("dragleave", (event) => !event.relatedTarget && zone.classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    const dropped = event.dataTransfer?.files[0];
    if (dropped) choose(dropped);
  });
}

/** @param {File} chosen */
export function showFile(chosen) {
  byId("drop").classList.add("chosen");
  setText(byId("file-name"), chosen.name);
  setText(byId("file-size"), bytes(chosen.size));
  setText(byId("file-again"), "drop another here or");
}

/** Asks for a file again. */
function forgetFile() {
  byId("drop").classList.remove("chosen");
  setText(byId("file-name"), "Drop a JSONL file here");
  setText(byId("file-size"), "one request per line");
  setText(byId("file-again"), "or");
}

/**
 * @param {import("./file_check.js").Report} found
 * @param {number} size
 * @param {import("./file_check.js").Limits} limits
 * @returns {string | null}
 */
export function wholeFileProblem(found, size, limits) {
  if (found.tooBig)
    return `The file has ${bytes(size)}; at most ${bytes(limits.maxFileBytes)} are allowed. Split it into several batches.`;
  if (found.tooMany)
    return `The file has ${plural(found.requests, "request")}; at most ${integer(limits.maxRequests)} are allowed. Split it into several batches.`;
  if (found.requests === 0) return "There is no request in this file: each line must be one JSON object.";
  return null;
}

/** @param {boolean} busy */
export function setBusy(busy) {
  byId("send").disabled = busy;
  byId("try").disabled = busy;
  byId("fields").disabled = busy;
  show(byId("sending"), busy);
  if (!busy) return;
  byId("sending-bar").value = 0;
  setText(byId("sending-text"), "preparing to send"); // until the browser tells how much there is
}

/** @param {number} sent @param {number} total */
export function showProgress(sent, total) {
  byId("sending-bar").max = Math.max(1, total);
  byId("sending-bar").value = sent;
  setText(
    byId("sending-text"),
    sent < total ? `${bytes(sent)} of ${bytes(total)} sent` : "sent; the API is checking it",
  );
}

/** @param {import("../shared/upload.js").Receipt} receipt */
export function showReceipt({ batch_id: id, total_requests: total, model }) {
  setText(byId("receipt-title"), `${plural(total, "request")} queued`);
  setText(byId("receipt-id"), id);
  setText(byId("receipt-model"), model);
  byId("receipt-results").href = `index.html?batch=${encodeURIComponent(id)}`;
  show(byId("form"), false);
  show(byId("receipt"), true);
  byId("receipt-title").focus();
}

/** Back from the receipt to an empty form. */
export function hideReceipt() {
  byId("form").reset();
  forgetFile();
  show(byId("receipt"), false);
  show(byId("form"), true);
  byId("file").focus();
}

export function exampleFile() {
  const lines = EXAMPLE.map((content, index) =>
    JSON.stringify({
      custom_id: `question-${index + 1}`,
      method: "POST",
      url: "/v1/chat/completions",
      body: { messages: [{ role: "user", content }], max_tokens: 64 },
    }),
  );
  return new File([`${lines.join("\n")}\n`], "example.jsonl");
}

/** @param {number} priority one that the list may not have */
export function setPriority(priority) {
  const value = String(priority);
  const select = byId("priority");
  if (![...select.options].some((/** @type {HTMLOptionElement} */ one) => one.value === value))
    select.append(el("option", { value }, value));
  select.value = value;
}

/** How the lines are to be computed, as the API's form has it: only what is not its default.
 * @typedef {{ order?: "submission", deduplicate?: true, use_cache?: true }} Handling */

export const HANDLING_IDS = ["line-order", "deduplicate", "use-cache"];

/** @returns {Handling} */
export function chosenHandling() {
  return {
    ...(byId("line-order").value === "submission" ? { order: "submission" } : {}),
    ...(byId("deduplicate").checked ? { deduplicate: true } : {}),
    ...(byId("use-cache").checked ? { use_cache: true } : {}),
  };
}

/** Opens the options where there is something to see.
 * @param {import("../shared/wire.js").Batch} batch */
export function setHandling({ order, deduplicate, use_cache: useCache }) {
  byId("line-order").value = order;
  byId("deduplicate").checked = deduplicate;
  byId("use-cache").checked = useCache;
  byId("options").open = Object.keys(chosenHandling()).length > 0;
}
