// What else one can do with a batch: copy it as a command, take its answers as a table.

import { apiBase, bindDownload, storedKey } from "../shared/api.js";
import { csvPath, displayName, offers, resultsPath } from "../shared/batches.js";
import { createCopyButton } from "../shared/copy_button.js";
import { el, icon } from "../shared/dom.js";
import { asCurl, asPython } from "./commands.js";

/** @typedef {import("../shared/wire.js").Batch} Batch */

/** @param {HTMLElement} menu a popover @param {Batch} batch @param {(error: unknown) => void} onError */
export async function fillMenu(menu, batch, onError) {
  const target = { api: await apiBase(), key: storedKey() !== null };
  const offer = offers(batch);
  menu.replaceChildren(
    el("p", { class: "small muted break clip" }, displayName(batch)),
    createCopyButton("Copy as curl", () => asCurl(batch, target), { word: "Copy as curl" }),
    createCopyButton("Copy as Python", () => asPython(batch, target), { word: "Copy as Python" }),
    createCopyButton("Copy the id", () => batch.id, { word: "Copy the id" }),
    ...(offer.results
      ? [
          download("Answers as JSONL", resultsPath(batch), `${batch.id}_output.jsonl`, onError),
          download("Answers as CSV", csvPath(batch), `${batch.id}_answers.csv`, onError),
        ]
      : []),
  );
  /** @type {HTMLElement | null} */ (menu.querySelector("button"))?.focus();
}

/** @param {string} word @param {string} path @param {string} filename @param {(error: unknown) => void} onError */
function download(word, path, filename, onError) {
  const link = el("a", { class: "button quiet" }, icon("download"), word);
  bindDownload(link, path, filename, onError);
  return link;
}
