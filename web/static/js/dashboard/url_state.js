// Where one is on the dashboard: tab, page and filter, as the page's address has them. Pure.

import { displayName, FINAL, isOpen, isQueued, stateOf, TABS } from "../shared/batches.js";

/** @typedef {import("../shared/wire.js").Batch} Batch */
/**
 * @typedef {{ field: "status" | "model" | "name" | "id" | "", value: string, not: boolean }} Term a word
 * without a field may be anywhere
 */
/** @typedef {{ tab: string, after: string | null, q: string, terms: Term[] }} Place */

const PAGE_SIZE = 20;
const FILTERED_PAGE_SIZE = 100;
export const RECENT = 5;
/** Words of a person for the API's status filter. @type {Record<string, string>} */
const STATUSES = {
  active: "active",
  queued: "queued",
  pending: "queued",
  validating: "queued",
  running: "in_progress",
  in_progress: "in_progress",
  finalizing: "finalizing",
  cancelling: "cancelling",
  completed: "completed",
  failed: "failed",
  cancelled: "cancelled",
  expired: "expired",
};

/** @param {string} search of the page's address @returns {Place} */
export function placeOf(search) {
  const asked = new URLSearchParams(search);
  const tab = asked.get("tab") ?? "active";
  const known = TABS.some(({ id }) => id === tab) ? tab : "active";
  return placeIn(known, asked.get("q") ?? "", asked.get("after"));
}

/** A filter for a state that the tab has not got leads to the tab that has them all.
 * @param {string} tab @param {string} q @param {string | null} [after] @returns {Place} */
export function placeIn(tab, q, after = null) {
  const terms = termsOf(q);
  const elsewhere = terms.some(
    ({ field, value, not }) =>
      field === "status" && !not && value in STATUSES && !hasState(tab, STATUSES[value]),
  );
  return { tab: elsewhere ? "all" : tab, after, q: q.trim(), terms };
}

/** @param {string} tab @param {string} status */
function hasState(tab, status) {
  if (tab === "active") return !FINAL.includes(status);
  return tab === "all" || tab === status;
}

/** Whether the list of a tab has such a batch; below the open ones stand those that ended lately.
 * @param {Batch} batch @param {string} tab */
export function isListed(batch, tab) {
  return tab === "active" || tab === "queued" ? !isOpen(batch) : tab === "all" || tab === batch.status;
}

/** @param {Place} place */
export function addressOf({ tab, after, q }) {
  return `?${new URLSearchParams({ tab, ...(q ? { q } : {}), ...(after ? { after } : {}) })}`;
}

/** Another tab keeps the filter but for the states it named: the tab is one.
 * @param {Place} place @param {string} tab @returns {Place} */
export function inTab({ q, terms }, tab) {
  const rest = q.match(TERM)?.filter((_, index) => terms[index]?.field !== "status") ?? [];
  return placeIn(tab, rest.join(" "));
}

/** `field:value`, `field:"two words"`, `word`, "two words", each with a minus in front for its opposite */
const TERM = /-?(?:(?:status|model|name|id):)?(?:"[^"]*"?|\S+)/gi;

/** @param {string} q @returns {Term[]} */
export function termsOf(q) {
  return (q.match(TERM) ?? []).map((word) => {
    const [, minus, field = "", rest] = /** @type {RegExpExecArray} */ (
      /^(-?)(?:(status|model|name|id):)?(.*)$/is.exec(word)
    );
    return {
      field: /** @type {Term["field"]} */ (field.toLowerCase()),
      value: rest.replace(/^"|"$/g, "").toLowerCase(),
      not: minus === "-",
    };
  });
}

/** @param {Batch} batch @param {Term[]} terms */
export function matches(batch, terms) {
  return terms.every(({ field, value, not }) => value === "" || isIn(batch, field, value) !== not);
}

/** @param {Batch} batch @param {Term["field"]} field @param {string} value in lower case */
function isIn(batch, field, value) {
  if (field === "status") return hasStatus(batch, value);
  const texts = { model: [batch.model], name: [displayName(batch), batch.filename ?? ""], id: [batch.id] };
  const searched = field === "" ? Object.values(texts).flat() : texts[field];
  return searched.some((text) => text.toLowerCase().includes(value));
}

/** By its state, or by the beginning of the word that is shown for it.
 * @param {Batch} batch @param {string} value */
function hasStatus(batch, value) {
  if (value === "active") return isOpen(batch);
  const status = isQueued(batch) ? "queued" : batch.status;
  return STATUSES[value] === status || status.startsWith(value) || stateOf(batch).word.startsWith(value);
}

/** What the list below the tabs is asked for; the API filters by state, the page by everything else.
 * @param {Place} place */
export function listQuery({ tab, after, terms }) {
  const filtered = terms.length > 0;
  const open = tab === "active" || tab === "queued";
  const asked = terms
    .filter(({ field, not, value }) => field === "status" && !not && value in STATUSES)
    .map(({ value }) => STATUSES[value]);
  const statuses = open ? FINAL : tab !== "all" ? [tab] : [...new Set(asked)];
  const query = new URLSearchParams(statuses.map((status) => ["status", status]));
  query.set("limit", String(filtered ? FILTERED_PAGE_SIZE : open ? RECENT : PAGE_SIZE));
  if (after && !open) query.set("after", after);
  return query;
}
