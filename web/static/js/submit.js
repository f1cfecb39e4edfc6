// A new job: choose a file, see what is wrong with it before anything is sent, send it once.

import { ApiError, callJson, enterKey } from "./api.js";
import { showChecking, showExample, showFound, showProblems } from "./check_view.js";
import { byId, setText, show } from "./dom.js";
import { checkFile, linesOf } from "./file_check.js";
import { bytes, integer, plural } from "./format.js";
import { createModelPicker } from "./model_picker.js";
import { createNotice, messageOf, withCommands } from "./notice.js";
import { newIdempotencyKey, upload } from "./upload.js";

const EXAMPLE = ["What is the capital of France?", "Translate “good morning” into Italian.", "Name three uses of a paper clip."];
/** What the server allows unless its /health says otherwise. */
const limits = { maxRequests: 50_000, maxFileBytes: 200 * 2 ** 20, maxLineBytes: 4 * 2 ** 20 };
let room = Infinity;

const form = byId("form");
const notice = createNotice();
const picker = createModelPicker({ changed: forgetAttempt });
/** @type {File | null} */
let file = null;
/** @type {import("./file_check.js").Report | null} null while there is none yet for the chosen file */
let report = null;
let checking = new AbortController();
/** @type {AbortController | null} set while a submission is under way: the guard against a second one */
let sending = null;
let idempotencyKey = newIdempotencyKey();

/** Another submission than the last one tried gets a key of its own; the same one, tried again, keeps its key. */
function forgetAttempt() {
  idempotencyKey = newIdempotencyKey();
}

/** @param {File} chosen */
async function choose(chosen) {
  if (sending) return;
  forgetAttempt();
  file = chosen;
  report = null;
  checking.abort();
  checking = new AbortController();
  const { signal } = checking;
  notice.hide();
  showFile(chosen);
  showChecking(0, chosen.size);
  try {
    const found = await checkFile(chosen, limits, { signal, onProgress: (done) => showChecking(done, chosen.size) });
    if (signal.aborted) return;
    report = found;
    showReport(found, chosen);
  } catch {
    if (!signal.aborted) showProblems({ errors: [], total: 1, source: "here", message: "The file cannot be read any more. Choose it again." });
  }
}

/** @param {File} chosen */
function showFile(chosen) {
  byId("drop").classList.add("chosen");
  setText(byId("file-name"), chosen.name);
  setText(byId("file-size"), bytes(chosen.size));
  setText(byId("file-again"), "drop another here or");
}

/** @param {import("./file_check.js").Report} found @param {File} chosen */
function showReport(found, chosen) {
  const wrong = wholeFileProblem(found, chosen);
  if (wrong) showProblems({ errors: found.errors, total: Math.max(1, found.totalErrors), source: "here", message: wrong });
  else if (found.totalErrors > 0) showProblems({ errors: found.errors, total: found.totalErrors, source: "here" });
  else {
    picker.suggest([...found.models.keys()]);
    showFound(found, chosen);
    if (found.requests > room) notice.say("warn", `The queue has room for ${plural(room, "request")} now; this file has ${integer(found.requests)}. Wait, or split it.`);
  }
}

/** @param {import("./file_check.js").Report} found @param {File} chosen @returns {string | null} */
function wholeFileProblem(found, chosen) {
  if (found.tooBig) return `The file has ${bytes(chosen.size)}; at most ${bytes(limits.maxFileBytes)} are allowed. Split it into several batches.`;
  if (found.tooMany) return `The file has ${plural(found.requests, "request")}; at most ${integer(limits.maxRequests)} are allowed. Split it into several batches.`;
  if (found.requests === 0) return "There is no request in this file: each line must be one JSON object.";
  return null;
}

/** @returns {string | null} what is missing before anything can be sent */
function whyNot() {
  if (!file) return "Choose a file first.";
  if (!report) return "The file is still being checked.";
  if (report.totalErrors > 0 || wholeFileProblem(report, file)) return "The file has problems: fix them and choose it again.";
  return picker.value() ? null : "Choose a model.";
}

async function submit() {
  if (sending || !file) return;
  sending = new AbortController();
  setBusy(true);
  const submission = { file, model: picker.value(), name: byId("name").value.trim(), priority: byId("priority").value };
  try {
    const receipt = await upload(submission, idempotencyKey, { signal: sending.signal, onProgress: showProgress });
    forgetAttempt();
    showReceipt(receipt);
  } catch (error) {
    await showFailure(error, file);
  } finally {
    sending = null;
    setBusy(false);
  }
}

/** @param {boolean} busy */
function setBusy(busy) {
  byId("send").disabled = busy;
  byId("fields").disabled = busy;
  show(byId("sending"), busy);
  if (busy) notice.hide();
  if (busy) showProgress(0, 1);
}

/** @param {number} sent @param {number} total */
function showProgress(sent, total) {
  byId("sending-bar").max = Math.max(1, total);
  byId("sending-bar").value = sent;
  setText(byId("sending-text"), sent < total ? `${bytes(sent)} of ${bytes(total)} sent` : "sent; the API is checking it");
}

/** @param {import("./upload.js").Receipt} receipt */
function showReceipt({ batch_id: id, total_requests: total, model }) {
  setText(byId("receipt-title"), `${plural(total, "request")} queued`);
  setText(byId("receipt-id"), id);
  setText(byId("receipt-model"), model);
  byId("receipt-results").href = `index.html?batch=${encodeURIComponent(id)}`;
  show(form, false);
  show(byId("receipt"), true);
  byId("receipt-title").focus();
}

/** @param {unknown} error @param {File} sent */
async function showFailure(error, sent) {
  if (error instanceof DOMException && error.name === "AbortError") {
    notice.say("", "Cancelled. If the file had already arrived, the batch is on the dashboard; sending it again does not make a second one.");
    return;
  }
  if (!(error instanceof ApiError)) {
    notice.say("bad", `${messageOf(error)} Nothing is lost: submit again and it counts once.`);
    return;
  }
  if (error.status === 401 && (await enterKey("The API asks for its key."))) {
    notice.say("", "Key saved. Submit again.");
    return;
  }
  if (error.status < 500) forgetAttempt(); // refused for good: what is sent next is a new attempt
  notice.say("bad", error.retryAfterSeconds ? `${error.message} Try again in ${error.retryAfterSeconds} s.` : error.message);
  if (error.errors.length > 0) await showServerErrors(error, sent);
}

/** @param {ApiError} error @param {File} sent */
async function showServerErrors(error, sent) {
  const texts = await linesOf(sent, error.errors.map(({ line }) => line), limits.maxLineBytes).catch(() => new Map());
  showProblems({ errors: error.errors.map((one) => ({ ...one, text: texts.get(one.line) })), total: error.totalErrors, source: "server" });
}

function startOver() {
  form.reset();
  file = null;
  report = null;
  byId("drop").classList.remove("chosen");
  setText(byId("file-name"), "Drop a JSONL file here");
  setText(byId("file-size"), "one request per line");
  setText(byId("file-again"), "or");
  showExample();
  show(byId("receipt"), false);
  show(form, true);
  byId("file").focus();
}

function exampleFile() {
  const lines = EXAMPLE.map((content, index) =>
    JSON.stringify({ custom_id: `question-${index + 1}`, method: "POST", url: "/v1/chat/completions", body: { messages: [{ role: "user", content }], max_tokens: 64 } }),
  );
  return new File([`${lines.join("\n")}\n`], "example.jsonl");
}

async function readMachine() {
  try {
    /** @type {[import("./wire.js").Health, void]} */
    const [{ queue, worker }] = await Promise.all([callJson("/health"), picker.load()]);
    Object.assign(limits, { maxRequests: queue.max_requests_per_batch, maxFileBytes: queue.max_file_bytes });
    if (queue.max_line_bytes) limits.maxLineBytes = queue.max_line_bytes;
    room = queue.max_queued_requests - queue.queued_requests;
    setText(byId("limits"), `At most ${integer(limits.maxRequests)} lines and ${bytes(limits.maxFileBytes)}.`);
    if (!queue.accepting) notice.say("warn", queue.reason ?? "The API does not accept batches now.");
    else if (worker.status === "none") notice.say("warn", ...withCommands("No worker is running: the batch will wait until one is started with make worker."));
  } catch (error) {
    notice.say("bad", ...withCommands(`${messageOf(error)} Start it with make api, then reload this page.`));
  }
}

function listen() {
  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    if (sending) return;
    const reason = whyNot();
    if (reason === null) void submit();
    else {
      notice.say("warn", reason);
      if (!file) byId("file").focus();
      else if (!picker.value()) picker.focus();
    }
  });
  byId("file").addEventListener("change", (/** @type {any} */ event) => event.target.files[0] && void choose(event.target.files[0]));
  for (const name of ["name", "priority"]) byId(name).addEventListener("input", forgetAttempt);
  byId("cancel").addEventListener("click", () => sending?.abort());
  byId("again").addEventListener("click", startOver);
  byId("use-example").addEventListener("click", () => void choose(exampleFile()));
  addEventListener("beforeunload", (event) => sending && event.preventDefault());
  listenForDrops();
}

/** The whole page takes a dropped file: a near miss must not open it in the browser instead. */
function listenForDrops() {
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
    if (dropped) void choose(dropped);
  });
}

setText(byId("example-lines"), (await exampleFile().text()).trim());
listen();
await readMachine();
byId("content").classList.remove("loading");
