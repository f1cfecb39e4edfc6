// Talks to the API: its address, the optional key, one error for each way a call can fail, downloads that
// carry the key.

import { setAttribute } from "./dom.js";

/**
 * @typedef {{ method?: string, signal?: AbortSignal, headers?: Record<string, string>, untimed?: boolean }}
 * CallOptions
 */

const KEY_NAME = "batch-api-key";
const TIMEOUT_MS = 15_000;

/** No answer at all: the API is not running, or not under this address. */
export class UnreachableError extends Error {}

/** The API's own error object, with the HTTP status. */
export class ApiError extends Error {
  /** @param {number} status @param {any} body @param {string | null} retryAfter @param {string | null} requestId */
  constructor(status, body, retryAfter, requestId) {
    const error = body?.error ?? {};
    super(typeof error.message === "string" ? error.message : `The API answered with status ${status}.`);
    this.status = status;
    this.code = typeof error.code === "string" ? error.code : "";
    this.param = error.param ?? null;
    /** @type {{ line: number, param: string | null, code: string, message: string }[]} */
    this.errors = Array.isArray(error.errors) ? error.errors : [];
    this.totalErrors = Number(error.total_errors ?? this.errors.length);
    this.retryAfterSeconds = retryAfter ? Number(retryAfter) : null;
    this.requestId = requestId;
  }
}

/** Whether the API has answered and said no: it would again, so nothing asks again by itself.
 * @param {unknown} error @returns {error is ApiError} */
export function isRefused(error) {
  return error instanceof ApiError && error.status < 500;
}

/** @type {Promise<string> | undefined} */
let base;

/** The API's address: what config.json says, else this page's own host with the API's port. */
export function apiBase() {
  base ??= fetch("config.json")
    .then((answer) => answer.json())
    .then((config) => config.apiUrl ?? `http://${location.hostname}:${config.apiPort}`)
    .catch(() => {
      base = undefined;
      throw new UnreachableError("The server of these pages does not answer.");
    });
  return base;
}

/** @returns {string | null} */
export function storedKey() {
  return sessionStorage.getItem(KEY_NAME);
}

/** @returns {Record<string, string>} */
export function authorization() {
  const key = storedKey();
  return key ? { authorization: `Bearer ${key}` } : {};
}

/** Asks the person for the key; false when they declined.
 * @param {string} [message] */
export async function enterKey(message) {
  const { askForKey } = await import("./key_dialog.js");
  const key = await askForKey(message ?? "This API is protected by a key.");
  if (key) sessionStorage.setItem(KEY_NAME, key);
  return Boolean(key);
}

let declined = false;

/** One call, answered with 2xx. Asks for the key once when the API wants one.
 * @param {string} path @param {CallOptions} [options]
 * @returns {Promise<Response>} */
export async function call(path, options = {}) {
  const key = storedKey();
  const answer = await attempt(path, options);
  if (answer.ok) return answer;
  const error = new ApiError(
    answer.status,
    await bodyOf(answer),
    answer.headers.get("retry-after"),
    answer.headers.get("x-request-id"),
  );
  if (error.status !== 401 || declined) throw error;
  if (storedKey() === key) declined = !(await enterKey(key ? "The API did not accept this key." : undefined));
  if (declined) throw error;
  return call(path, { ...options, signal: undefined });
}

/** Lets the next call ask for the key again after the person had declined. */
export function forgetDecline() {
  declined = false;
}

/** @param {string} path @param {CallOptions} [options]
 * @returns {Promise<any>} */
export async function callJson(path, options) {
  const answer = await call(path, options);
  try {
    return await answer.json();
  } catch (error) {
    if (options?.signal?.aborted) throw error;
    throw new UnreachableError("The API’s answer broke off.");
  }
}

/** @param {string} path @param {CallOptions} options */
async function attempt(path, { method = "GET", signal, headers = {}, untimed = false }) {
  const signals = [signal, untimed ? undefined : AbortSignal.timeout(TIMEOUT_MS)].filter(
    (one) => one !== undefined,
  );
  const url = (await apiBase()) + path;
  try {
    return await fetch(url, {
      method,
      headers: { ...authorization(), ...headers },
      signal: AbortSignal.any(signals),
      cache: "no-cache",
      referrerPolicy: "no-referrer",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new UnreachableError(`The API at ${await apiBase()} does not answer.`);
  }
}

/** @param {Response} answer */
async function bodyOf(answer) {
  try {
    return await answer.json();
  } catch {
    return null;
  }
}

/** Makes an anchor a download of `path`; may be called again with another path, or when the address was not known yet.
 * @param {HTMLAnchorElement} anchor
 * @param {string} path
 * @param {string} filename
 * @param {(error: unknown) => void} onError
 */
export function bindDownload(anchor, path, filename, onError) {
  void apiBase().then(
    (base) => setAttribute(anchor, "href", base + path),
    () => undefined,
  );
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

/** Fetches a part of the page when it is first needed, once; after a failure the next need fetches it again.
 * @template T
 * @param {() => Promise<T>} fetchPart @returns {() => Promise<T>} rejects with words for the person */
export function onDemand(fetchPart) {
  /** @type {Promise<T> | undefined} */
  let part;
  return () => {
    part ??= fetchPart().catch(() => {
      part = undefined;
      throw new UnreachableError(
        "A part of this page cannot be fetched: the server of these pages does not answer. Try again.",
      );
    });
    return part;
  };
}
