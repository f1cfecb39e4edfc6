// A new job: choose a file, see what is wrong with it and what it takes before anything is sent, send it once.

import { ApiError, enterKey } from "./api.js";
import { displayName } from "./batches.js";
import { showChecking, showExample, showFound, showProblems } from "./check_view.js";
import { byId, el, setText, show } from "./dom.js";
import { checkFile, linesOf } from "./file_check.js";
import { bytes, integer, plural } from "./format.js";
import { createModelPicker } from "./model_picker.js";
import { createNotice, messageOf, withCommands } from "./page.js";
import { readClone } from "./submit_clone.js";
import { createCodeSamples } from "./submit_code.js";
import { listenForDrops } from "./submit_drop.js";
import { estimateOf } from "./submit_estimate.js";
import {
  chosenHandling, exampleFile, HANDLING_IDS, hideReceipt, setBusy, setHandling, setPriority, showFile, showProgress, showReceipt, wholeFileProblem,
} from "./submit_form.js";
import { createMachine } from "./submit_machine.js";
import { createMetadata } from "./submit_metadata.js";
import { showEstimate } from "./submit_outlook.js";
import { createTrial, TRIAL_LINES } from "./submit_trial.js";
import { createAttempts, upload } from "./upload.js";

const form = byId("form");
const notice = createNotice();
const machine = createMachine();
/** @type {File | null} */
let file = null;
/** @type {import("./file_check.js").Report | null} null while there is none yet for the chosen file */
let report = null;
let checking = new AbortController();
/** @type {AbortController | null} set while a submission is under way: the guard against a second one */
let sending = null;
const attempts = createAttempts();
const picker = createModelPicker({ changed });
const metadata = createMetadata({ changed });
const trial = createTrial({ ended: learnAgain });
const code = createCodeSamples(() => ({ ...order(), filename: file?.name ?? "requests.jsonl", model: picker.value() || "MODEL", endpoint: report?.endpoint ?? "/v1/chat/completions" }));

function changed() {
  queueMicrotask(drawOutlook); // once this module has run to its end
}

function order() {
  const name = byId("name").value.trim();
  return { metadata: { ...(name ? { name } : {}), ...metadata.value() }, priority: Number(byId("priority").value), handling: chosenHandling() };
}

function drawOutlook() {
  code.draw();
  const good = report && isGood(report) ? report : null;
  const state = machine.forEstimates(picker.namesOf);
  const plan = good?.sample && { requests: good.requests, sample: good.sample, endpoint: good.endpoint ?? "", model: picker.value(), priority: order().priority };
  showEstimate(plan && state ? estimateOf(plan, state) : null, good?.requests ?? 0, good?.sample?.lines ?? 0);
  show(byId("try"), good !== null && good.requests > TRIAL_LINES);
}

/** @param {File} chosen */
async function choose(chosen) {
  if (sending) return;
  file = chosen;
  report = null;
  changed();
  checking.abort();
  checking = new AbortController();
  const { signal } = checking;
  notice.hide();
  trial.hide();
  showFile(chosen);
  showChecking(0, chosen.size);
  try {
    const found = await checkFile(chosen, machine.limits, { signal, onProgress: (done) => showChecking(done, chosen.size) });
    if (signal.aborted) return;
    report = found;
    showReport(found, chosen);
    drawOutlook();
  } catch {
    if (!signal.aborted) showProblems({ errors: [], total: 1, source: "here", message: "The file cannot be read any more. Choose it again." });
  }
}

/** @param {import("./file_check.js").Report} found @param {File} chosen */
function showReport(found, chosen) {
  const wrong = problemOf(found);
  if (wrong) showProblems({ errors: found.errors, total: Math.max(1, found.totalErrors), source: "here", message: wrong });
  else if (found.totalErrors > 0) showProblems({ errors: found.errors, total: found.totalErrors, source: "here" });
  else {
    picker.suggest([...found.models.keys()]);
    showFound(found, chosen);
    if (found.requests > machine.room) notice.say("warn", `The queue has room for ${plural(machine.room, "request")} now; this file has ${integer(found.requests)}. Wait, or split it.`);
  }
}

/** @param {import("./file_check.js").Report} found */
function problemOf(found) {
  return wholeFileProblem(found, file?.size ?? 0, machine.limits);
}

/** @param {import("./file_check.js").Report} found */
function isGood(found) {
  return found.totalErrors === 0 && problemOf(found) === null;
}

/** @returns {string | null} what is missing before anything can be sent */
function whyNot() {
  if (!file) return "Choose a file first.";
  if (!report) return "The file is still being checked.";
  if (!isGood(report)) return "The file has problems: fix them and choose it again.";
  return picker.value() ? null : "Choose a model.";
}

/** Sends what is filled in, unless something is missing or under way.
 * @param {(submission: import("./upload.js").Submission, signal: AbortSignal) => Promise<void>} send */
async function attempt(send) {
  if (sending) return;
  const reason = whyNot();
  if (reason !== null || !file) return showReason(reason ?? "");
  const chosen = file;
  sending = new AbortController();
  notice.hide();
  setBusy(true);
  try {
    await send({ file: chosen, model: picker.value(), ...order() }, sending.signal);
  } catch (error) {
    await showFailure(error, chosen);
  } finally {
    sending = null;
    setBusy(false);
  }
}

/** @param {string} reason */
function showReason(reason) {
  notice.say("warn", reason);
  if (!file) byId("file").focus();
  else if (!picker.value()) picker.focus();
}

function submit() {
  return attempt(async (submission, signal) => {
    const receipt = await upload(submission, attempts.keyOf(submission), { signal, onProgress: showProgress });
    attempts.settled();
    trial.hide();
    showReceipt(receipt);
  });
}

function tryFirst() {
  const lines = report?.preview.map(({ line }) => line) ?? [];
  return attempt((submission, signal) => trial.run(submission, lines, machine.limits.maxLineBytes, signal));
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
  if (error.status < 500) attempts.settled(); // refused for good: what is sent next is a new attempt
  notice.say("bad", error.retryAfterSeconds ? `${error.message} Try again in ${error.retryAfterSeconds} s.` : error.message);
  if (error.errors.length > 0) await showServerErrors(error, sent);
}

/** @param {ApiError} error @param {File} sent */
async function showServerErrors(error, sent) {
  const texts = await linesOf(sent, error.errors.map(({ line }) => line), machine.limits.maxLineBytes).catch(() => new Map());
  showProblems({ errors: error.errors.map((one) => ({ ...one, text: texts.get(one.line) })), total: error.totalErrors, source: "server" });
}

function startOver() {
  hideReceipt();
  file = null;
  report = null;
  metadata.set({});
  picker.reset();
  history.replaceState(null, "", location.pathname);
  showExample();
  changed();
}

async function readMachine() {
  try {
    const [{ queue, worker }] = await Promise.all([machine.read(), picker.load(), machine.readBatches()]);
    setText(byId("limits"), `At most ${integer(machine.limits.maxRequests)} lines and ${bytes(machine.limits.maxFileBytes)}.`);
    if (!queue.accepting) notice.say("warn", queue.reason ?? "The API does not accept batches now.");
    else if (worker.status === "none") notice.say("warn", ...withCommands("No worker is running: the batch will wait until one is started with make worker."));
  } catch (error) {
    notice.say("bad", ...withCommands(`${messageOf(error)} Start it with make api, then reload this page.`));
  }
  drawOutlook();
}

/** After a trial the machine is known better. */
function learnAgain() {
  void machine.readBatches().then(drawOutlook, () => undefined);
}

/** Fills the form in as another batch was; nothing is sent. A file that was chosen meanwhile stays.
 * @param {string} batchId */
async function startFrom(batchId) {
  try {
    const { batch, file: found } = await readClone(batchId);
    if (sending) return;
    setPriority(batch.priority);
    setHandling(batch);
    byId("name").value = batch.metadata?.name ?? "";
    metadata.set(batch.metadata ?? {});
    picker.choose(batch.model);
    if (file === null) await choose(found);
    if (file !== found) return;
    const link = el("a", { href: `index.html?batch=${encodeURIComponent(batchId)}` }, displayName(batch));
    notice.say("", "Filled in as ", link, " was. Nothing is sent yet: change what you like.");
  } catch (error) {
    notice.say("bad", `This batch cannot be cloned: ${messageOf(error)}`);
  }
}

/** Empties the field, for a browser does not tell of the same file chosen again, mended since. */
function takeFile() {
  const [chosen] = byId("file").files;
  byId("file").value = "";
  if (chosen) void choose(chosen);
}

function listen() {
  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    void submit();
  });
  byId("try").addEventListener("click", () => void tryFirst());
  byId("file").addEventListener("change", takeFile);
  for (const name of ["name", "priority", ...HANDLING_IDS]) byId(name).addEventListener("input", changed);
  byId("cancel").addEventListener("click", () => sending?.abort());
  byId("again").addEventListener("click", startOver);
  byId("use-example").addEventListener("click", () => void choose(exampleFile()));
  addEventListener("beforeunload", (event) => sending && event.preventDefault());
  listenForDrops(byId("drop"), (dropped) => void choose(dropped));
}

listen();
takeFile(); // one that was chosen before this module ran
setText(byId("example-lines"), (await exampleFile().text()).trim());
await readMachine();
const cloned = new URLSearchParams(location.search).get("clone");
if (cloned) await startFrom(cloned);
byId("content").classList.remove("loading");
