// Shows what the check of a file found: what it holds, its first lines, or every problem at its line.

import { byId, el, setState, setText, show } from "../shared/dom.js";
import { bytes, integer, plural } from "../shared/format.js";

/** @typedef {import("./file_check.js").Report} Report */
/** @typedef {import("./file_check.js").FileError} FileError */

const PARTS = ["example", "checking", "found", "problems-part"];

/** @param {string} part */
function only(part) {
  for (const name of PARTS) show(byId(name), name === part);
}

export function showExample() {
  setState(byId("check-state"), null);
  only("example");
}

/** @param {number} done bytes @param {number} total */
export function showChecking(done, total) {
  setState(byId("check-state"), { word: "checking", tone: "run", icon: "dots" });
  byId("checking-bar").max = Math.max(1, total);
  byId("checking-bar").value = done;
  setText(byId("checking-text"), `${bytes(Math.min(done, total))} of ${bytes(total)} read`);
  only("checking");
}

/** @param {Report} report @param {File} file */
export function showFound(report, file) {
  setState(byId("check-state"), { word: "ready", tone: "ok", icon: "check" });
  const models = [...report.models.keys()];
  byId("found-facts").replaceChildren(
    fact(integer(report.requests), report.requests === 1 ? "request" : "requests"),
    fact(bytes(file.size), ""),
    fact(report.endpoint ?? "", ""),
    ...(models.length > 0
      ? [
          fact(
            models.length === 1 ? models[0] : integer(models.length),
            models.length === 1 ? "named in the lines" : "models named in the lines",
          ),
        ]
      : []),
  );
  byId("preview").replaceChildren(
    ...report.preview.map(({ line, customId, text }) => lineItem(line, customId, text)),
  );
  setText(
    byId("preview-more"),
    report.requests > report.preview.length
      ? `and ${integer(report.requests - report.preview.length)} more`
      : "",
  );
  only("found");
}

/** @param {{ errors: FileError[], total: number, source: "here" | "server", message?: string }} problems */
export function showProblems({ errors, total, source, message }) {
  setState(byId("check-state"), { word: plural(Math.max(1, total), "problem"), tone: "bad", icon: "cross" });
  const more =
    total > errors.length && errors.length > 0 ? ` The first ${errors.length} of ${integer(total)}:` : "";
  const said =
    message ??
    (source === "here"
      ? "Fix these in the file, then choose it again; nothing was sent."
      : "The API found these; nothing was stored.");
  setText(byId("problems-text"), said + more);
  byId("problems").replaceChildren(
    ...errors.map((error, index) => problemItem(error, error.line === errors[index - 1]?.line)),
  );
  only("problems-part");
}

/** @param {FileError} error @param {boolean} isFurther another one of the line above, whose text is there already */
function problemItem({ line, message, param, code, text }, isFurther) {
  const where = [param, code].filter(Boolean).join(" · ");
  return el(
    "li",
    {},
    el("span", { class: "at", title: `line ${line}` }, integer(line)),
    el(
      "div",
      {},
      el(
        "p",
        { class: "break" },
        el("b", { class: "bad-text" }, message),
        " ",
        el("span", { class: "muted mono" }, where),
      ),
      text && !isFurther ? el("pre", { class: "clip" }, text) : null,
    ),
  );
}

/** @param {number} line @param {string} customId @param {string} text */
function lineItem(line, customId, text) {
  return el(
    "li",
    {},
    el("span", { class: "at", title: `line ${line}` }, integer(line)),
    el(
      "div",
      {},
      el("p", { class: "break mono" }, el("b", {}, customId)),
      el("p", { class: "clip muted" }, text),
    ),
  );
}

/** @param {string} value @param {string} after */
function fact(value, after) {
  return el("span", {}, el("b", {}, value), after ? ` ${after}` : null);
}
