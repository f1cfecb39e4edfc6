// Downloads of result and error files: a plain link, unless the API wants a key, which no link can carry.

import { apiBase, call, storedKey } from "./api.js";
import { setAttribute } from "./dom.js";

/** Makes an anchor a download of `path`; may be called again with another path, or when the address was not known yet.
 * @param {HTMLAnchorElement} anchor @param {string} path @param {string} filename @param {(error: unknown) => void} onError */
export function bindDownload(anchor, path, filename, onError) {
  void apiBase().then((base) => setAttribute(anchor, "href", base + path), () => undefined);
  anchor.download = filename;
  anchor.onclick = (event) => {
    if (!storedKey()) return;
    event.preventDefault();
    fetchAndSave(path, filename).catch(onError);
  };
}

/** @param {string} path @param {string} filename */
async function fetchAndSave(path, filename) {
  const answer = await call(path, { untimed: true });
  saveBlob(await answer.blob(), filename);
}

/** @param {Blob} blob @param {string} filename */
export function saveBlob(blob, filename) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = filename;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
