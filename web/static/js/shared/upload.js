// Sends a batch to the API, with progress and cancel; fetch cannot report upload progress, so XMLHttpRequest does it.

import { ApiError, apiBase, authorization, UnreachableError } from "./api.js";

/** @typedef {{ batch_id: string, model: string, total_requests: number }} Receipt */
/**
 * @typedef {{ file: File, model: string, metadata: Record<string, string>, priority: number, handling:
 * import("../submit/form.js").Handling }} Submission
 */

/**
 * @param {Submission} submission @param {string} idempotencyKey the same one for the same submission, tried again
 * @param {{ signal: AbortSignal, onProgress: (sent: number, total: number) => void }} watch
 * @returns {Promise<Receipt>} rejects with ApiError, UnreachableError, or an AbortError when cancelled
 */
export async function upload(submission, idempotencyKey, { signal, onProgress }) {
  const request = new XMLHttpRequest();
  request.open("POST", `${await apiBase()}/v1/batches`);
  request.setRequestHeader("idempotency-key", idempotencyKey);
  for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
  request.responseType = "json";
  request.upload.addEventListener("progress", (event) => onProgress(event.loaded, event.total));
  signal.throwIfAborted(); // while the address was looked up
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => request.abort());
    request.addEventListener("abort", () => reject(new DOMException("cancelled", "AbortError")));
    request.addEventListener("error", () =>
      reject(
        new UnreachableError("The upload broke off: the API does not answer, or the file changed on disk."),
      ),
    );
    request.addEventListener("load", () =>
      request.status < 300 && request.response?.batch_id
        ? resolve(request.response)
        : reject(errorOf(request)),
    );
    request.send(formOf(submission));
  });
}

/** @param {Submission} submission */
function formOf({ file, model, metadata, priority, handling }) {
  const form = new FormData();
  form.set("model", model);
  if (Object.keys(metadata).length > 0) form.set("metadata", JSON.stringify(metadata));
  if (priority !== 0) form.set("priority", String(priority));
  for (const [name, value] of Object.entries(handling)) form.set(name, String(value));
  form.set("file", file, file.name);
  return form;
}

/** @param {XMLHttpRequest} request */
function errorOf(request) {
  return new ApiError(
    request.status,
    request.response,
    request.getResponseHeader("retry-after"),
    request.getResponseHeader("x-request-id"),
  );
}

/** @typedef {ReturnType<typeof createAttempts>} Attempts */

/** The keys of submissions: another one than the last tried gets a new one; the same one, tried again while nobody
 * knows what became of it, keeps its key. */
export function createAttempts() {
  /** @type {{ file: File, words: string, key: string } | null} */
  let tried = null;
  return {
    /** @param {Submission} submission */
    keyOf({ file, ...rest }) {
      const words = JSON.stringify(rest);
      if (tried?.file !== file || tried.words !== words) tried = { file, words, key: newIdempotencyKey() };
      return tried.key;
    },
    /** It is known: accepted, or refused for good. */
    settled() {
      tried = null;
    },
  };
}

/** A new key; `crypto.randomUUID` exists only on secure origins, which another machine's plain http is not. */
export function newIdempotencyKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}
