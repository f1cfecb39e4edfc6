// A new job: choose a file, see what is wrong with it and what it takes before anything is sent, send it once.
// What only a chosen file needs is fetched when a person reaches for one.

import { onDemand, UnreachableError } from "../shared/api.js";
import { byId, el, setText, show } from "../shared/dom.js";
import { bytes, integer } from "../shared/format.js";
import { createNotice, messageOf, startPage } from "../shared/page.js";
import { showChecking, showExample, showFound, showProblems } from "./check_view.js";
import { createCodeSamples } from "./code.js";
import {
  chosenHandling,
  exampleFile,
  HANDLING_IDS,
  hideReceipt,
  listenForDrops,
  setBusy,
  setHandling,
  setPriority,
  showFile,
  wholeFileProblem,
} from "./form.js";
import { createMachine } from "./machine.js";
import { createMetadata } from "./metadata.js";
import { createModelPicker } from "./model_picker.js";

startPage();

/** @typedef {import("./file_check.js").Report} Report */

const machine = createMachine({
  hasFile: () => file !== null,
  loadModels: (signal) => picker.load(signal),
  news: drawMachine,
});
const notice = createNotice();
const hint = createNotice();
const fetchCheck = onDemand(() => import("./file_check.js"));
const fetchOutlook = onDemand(() => import("./start_estimate.js"));
const fetchClone = onDemand(() => import("./clone.js"));
const fetchSender = onDemand(async () => {
  const { createSender } = await import("./send.js");
  sender = createSender({ notice, limits: machine.limits, ended: () => void machine.read() });
  return sender;
});
/** @type {import("./send.js").Sender | null} null until somebody reaches for a file */
let sender = null;
/** @type {File | null} */
let file = null;
/** @type {Report | null} null while there is none yet for the chosen file */
let report = null;
let checking = new AbortController();
/** @type {AbortController | null} set while a submission is under way: the guard against a second one */
let sending = null;
/** What was missing when the person last wanted to send. */
let missing = "";
const picker = createModelPicker({ changed });
const metadata = createMetadata({ changed });
const code = createCodeSamples(() => ({
  ...order(),
  filename: file?.name ?? "requests.jsonl",
  model: picker.value() || "MODEL",
  endpoint: report?.endpoint ?? "/v1/chat/completions",
}));

function changed() {
  queueMicrotask(drawOutlook); // once this module has run to its end
}

function order() {
  const name = byId("name").value.trim();
  return {
    metadata: { ...(name ? { name } : {}), ...metadata.value() },
    priority: Number(byId("priority").value),
    handling: chosenHandling(),
  };
}

function drawOutlook() {
  code.draw();
  if (missing !== whyNot()) hint.hide();
  const good = report && isGood(report) ? report : null;
  machine.warn(good && !byId("form").hidden ? good.requests : 0);
  show(byId("try"), good !== null && good.requests > good.preview.length);
  if (good)
    fetchOutlook().then(
      ({ showEstimate }) => good === report && drawEstimate(good, showEstimate),
      () => undefined,
    );
  else show(byId("estimate"), false);
}

/** @param {Report} good @param {typeof import("./start_estimate.js").showEstimate} showEstimate */
function drawEstimate({ requests, sample, endpoint }, showEstimate) {
  const state = machine.forEstimates(picker.namesOf);
  if (sample && state)
    showEstimate(
      { requests, sample, endpoint: endpoint ?? "", model: picker.value(), priority: order().priority },
      state,
    );
}

function drawMachine() {
  const loaded = machine.loadedModel();
  if (loaded !== undefined) picker.mark(loaded);
  setText(
    byId("limits"),
    `At most ${integer(machine.limits.maxRequests)} lines and ${bytes(machine.limits.maxFileBytes)}.`,
  );
  drawOutlook();
}

/**
 * Fetches, while a person reaches for a file, what will look at it and send it; what is missing then is
 * fetched again.
 */
function prepare() {
  for (const fetchPart of [fetchCheck, fetchOutlook, fetchSender]) fetchPart().catch(() => undefined);
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
  sender?.hideTrial();
  showFile(chosen);
  showChecking(0, chosen.size);
  prepare();
  void machine.read();
  try {
    const { checkFile } = await fetchCheck();
    const found = await checkFile(chosen, machine.limits, {
      signal,
      onProgress: (done) => showChecking(done, chosen.size),
    });
    if (signal.aborted) return;
    report = found;
    showReport(found, chosen);
    drawOutlook();
  } catch (error) {
    const message =
      error instanceof UnreachableError
        ? error.message
        : "The file cannot be read any more. Choose it again.";
    if (!signal.aborted) showProblems({ errors: [], total: 1, source: "here", message });
  }
}

/** @param {Report} found @param {File} chosen */
function showReport(found, chosen) {
  const wrong = problemOf(found);
  if (wrong)
    showProblems({
      errors: found.errors,
      total: Math.max(1, found.totalErrors),
      source: "here",
      message: wrong,
    });
  else if (found.totalErrors > 0)
    showProblems({ errors: found.errors, total: found.totalErrors, source: "here" });
  else {
    picker.suggest([...found.models.keys()]);
    showFound(found, chosen);
  }
}

/** @param {Report} found */
function problemOf(found) {
  return wholeFileProblem(found, file?.size ?? 0, machine.limits);
}

/** @param {Report} found */
function isGood(found) {
  return found.totalErrors === 0 && problemOf(found) === null;
}

/** @returns {string} what is missing before anything can be sent; "" when nothing is */
function whyNot() {
  if (!file) return "Choose a file first.";
  if (!report) return "The file is still being checked.";
  if (!isGood(report)) return "The file has problems: fix them and choose it again.";
  return picker.value() ? "" : "Choose a model.";
}

/** Sends what is filled in, unless something is missing or under way.
 * @param {(sender: import("./send.js").Sender, submission: import("../shared/upload.js").Submission, signal:
 * AbortSignal) => Promise<void>} send
 */
async function attempt(send) {
  if (sending) return;
  missing = whyNot();
  if (!file || missing) return showMissing();
  const submission = { file, model: picker.value(), ...order() };
  sending = new AbortController();
  const { signal } = sending;
  notice.hide();
  setBusy(true);
  try {
    await send(await fetchSender(), submission, signal);
  } catch (error) {
    notice.say("bad", messageOf(error));
  } finally {
    sending = null;
    setBusy(false);
    drawOutlook();
  }
}

function showMissing() {
  hint.say("warn", missing);
  if (!file) byId("file").focus();
  else if (!picker.value()) picker.focus();
}

function tryFirst() {
  const lines = report?.preview.map(({ line }) => line) ?? [];
  return attempt((by, submission, signal) => by.tryLines(submission, lines, signal));
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

/** Fills the form in as another batch was; nothing is sent. A file that was chosen meanwhile stays.
 * @param {string} batchId */
async function startFrom(batchId) {
  try {
    const { readClone } = await fetchClone();
    const { batch, title, file: found } = await readClone(batchId);
    if (sending) return;
    setPriority(batch.priority);
    setHandling(batch);
    byId("name").value = batch.metadata?.name ?? "";
    metadata.set(batch.metadata ?? {});
    picker.choose(batch.model);
    if (file === null) await choose(found);
    if (file !== found) return;
    const link = el("a", { href: `index.html?batch=${encodeURIComponent(batchId)}` }, title);
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
  byId("form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    void attempt((by, submission, signal) => by.send(submission, signal));
  });
  byId("try").addEventListener("click", () => void tryFirst());
  byId("file").addEventListener("change", takeFile);
  for (const name of ["name", "priority", ...HANDLING_IDS]) byId(name).addEventListener("input", changed);
  byId("cancel").addEventListener("click", () => sending?.abort());
  byId("again").addEventListener("click", startOver);
  byId("use-example").addEventListener("click", () => void choose(exampleFile()));
  addEventListener("beforeunload", (event) => sending && event.preventDefault());
  listenForDrops((dropped) => void choose(dropped));
  for (const sign of ["pointerenter", "focusin"])
    byId("drop").addEventListener(sign, prepare, { once: true });
  addEventListener("dragenter", prepare, { once: true });
}

listen();
takeFile(); // one that was chosen before this module ran
setText(byId("example-lines"), (await exampleFile().text()).trim());
await machine.read();
const cloned = new URLSearchParams(location.search).get("clone");
if (cloned) await startFrom(cloned);
byId("content").classList.remove("loading");
