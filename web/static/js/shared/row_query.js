// Where one is among the rows of a batch: filters, order and page, as the page's address has them. Pure.

export const PAGE_SIZE = 50;
const UNANSWERED = ["pending", "running"];

/** @typedef {{ column: string, operator: string, value: string }} Condition */
/**
 * @typedef {{
 *   status: string, code: string, customId: string, text: string, where: Condition[], sort: string,
 *   offset: number, after: number, line: number | null,
 * }} Place `offset` pages through answers, `after` through the ledger; `line` is the open row
 */

/** @param {string} search of the page's address @returns {Place} */
export function placeOf(search) {
  const asked = new URLSearchParams(search);
  return {
    status: asked.get("status") ?? "",
    code: asked.get("code") ?? "",
    customId: asked.get("custom_id") ?? "",
    text: asked.get("text") ?? "",
    where: asked
      .getAll("where")
      .map(conditionOf)
      .filter((one) => one !== null),
    sort: asked.get("sort") ?? "line",
    offset: wholeNumber(asked.get("offset")) ?? 0,
    after: wholeNumber(asked.get("after")) ?? 0,
    line: wholeNumber(asked.get("line")),
  };
}

/** @param {string | null} word */
function wholeNumber(word) {
  return word !== null && /^\d{1,9}$/.test(word) ? Number(word) : null;
}

/** @param {string} word `column:operator:value` @returns {Condition | null} */
function conditionOf(word) {
  const match = /^(.+?):(eq|ne|lt|le|gt|ge|contains|empty|present)(?::(.*))?$/s.exec(word);
  return match && { column: match[1], operator: match[2], value: match[3] ?? "" };
}

/** @param {string} batchId @param {Place} place */
export function addressOf(batchId, place) {
  const asked = filterQuery(place);
  const page = pairs({
    sort: place.sort === "line" ? "" : place.sort,
    offset: place.offset || "",
    after: place.after || "",
    line: place.line ?? "",
  });
  return `?${new URLSearchParams([["batch", batchId], ...asked, ...page])}`;
}

/** What is asked for, in whichever order: the API's parameters.
 * @param {Place} place */
export function filterQuery(place) {
  const where = place.where.map(({ column, operator, value }) => [
    "where",
    `${column}:${operator}${value === "" ? "" : `:${value}`}`,
  ]);
  return new URLSearchParams([
    ...pairs({ status: place.status, code: place.code, custom_id: place.customId, text: place.text }),
    ...where,
  ]);
}

/** @param {Record<string, string | number>} values @returns {[string, string][]} without the empty ones */
function pairs(values) {
  return Object.entries(values).flatMap(([name, value]) =>
    value === "" ? [] : [/** @type {[string, string]} */ ([name, String(value)])],
  );
}

/** @param {Place} place */
export function answersQuery(place) {
  return new URLSearchParams([
    ...filterQuery(place),
    ["sort", place.sort],
    ["offset", String(place.offset)],
    ["limit", String(PAGE_SIZE)],
  ]);
}

/** @param {Place} place */
export function ledgerQuery(place) {
  const { status, code, customId, after } = place;
  return new URLSearchParams(
    pairs({ status, code, custom_id: customId, after: after || "", limit: PAGE_SIZE }),
  );
}

/** How many rows stand on the ledger's pages before this one: the `total` of this answer.
 * @param {Place} place */
export function beforeQuery(place) {
  return new URLSearchParams([...filterQuery(place), ["where", `line:le:${place.after}`], ["limit", "1"]]);
}

/** The page of the answers with the row that a page of the ledger began with.
 * @param {Place} place @param {number} before rows that stand before that one @returns {Place} */
export function amongAnswers(place, before) {
  return { ...place, after: 0, offset: before - (before % PAGE_SIZE) };
}

/** The ledger has every line, the answers have words and any order. Answers are shown as soon as they show no less.
 * @param {Place} place @param {number} unanswered lines of the batch without an answer
 * @returns {"answers" | "ledger"} */
export function sourceOf(place, unanswered) {
  if (place.text || place.where.length > 0 || place.sort !== "line") return "answers";
  if (UNANSWERED.includes(place.status)) return "ledger";
  const onlyAnswered = place.status === "completed" || place.status === "failed";
  return unanswered === 0 || onlyAnswered ? "answers" : "ledger";
}

/** The order after one more press of a heading: its first order, the other way round, that of the file.
 * @param {string} now @param {string} first */
export function nextSort(now, first) {
  if (now === first) return first.startsWith("-") ? first.slice(1) : `-${first}`;
  return now.replace(/^-/, "") === first.replace(/^-/, "") ? "line" : first;
}

/** @param {Place} place */
export function isFiltered(place) {
  return filterQuery(place).size > 0;
}

/** The same question without what it says about one column, so that a facet shows what else there is.
 * @param {Place} place @param {string} column @returns {Place} */
export function withoutColumn(place, column) {
  const name = { status: "status", error_code: "code", custom_id: "customId" }[column];
  return {
    ...place,
    ...(name ? { [name]: "" } : {}),
    where: place.where.filter((one) => one.column !== column),
  };
}

/** What one column must be; null when anything will do.
 * @param {Place} place @param {string} column @returns {string | null} */
export function wantedValue(place, column) {
  if (column === "status") return place.status || null;
  if (column === "error_code") return place.code || null;
  return place.where.find((one) => one.column === column && one.operator === "eq")?.value ?? null;
}

/** @param {Place} place @param {string} column @param {string | null} value null: anything @returns {Place} */
export function withValue(place, column, value) {
  const free = withoutColumn(place, column);
  if (value === null) return free;
  if (column === "status") return { ...free, status: value };
  if (column === "error_code") return { ...free, code: value };
  return { ...free, where: [...free.where, { column, operator: "eq", value }] };
}

/** @param {Place} place @param {string} column @param {Condition[]} conditions @returns {Place} */
export function withConditions(place, column, conditions) {
  const free = withoutColumn(place, column);
  return { ...free, where: [...free.where, ...conditions] };
}

/** @typedef {{ key: string, label: string, value: string, without: Place }} Chip */
const WORDS = {
  finish_reason: "finish",
  output_tokens: "tokens out",
  input_tokens: "tokens in",
  seconds: "took",
};
const SIGNS = {
  eq: "is",
  ne: "is not",
  lt: "<",
  le: "≤",
  gt: ">",
  ge: "≥",
  contains: "contains",
  empty: "is empty",
  present: "is there",
};

/** Each filter in words, with the place as it is without it.
 * @param {Place} place @returns {Chip[]} */
export function chipsOf(place) {
  const columns = [...new Set(place.where.map(({ column }) => column))];
  const chips = [
    { key: "text", label: "answer contains", value: place.text, without: { ...place, text: "" } },
    {
      key: "custom_id",
      label: "custom_id begins with",
      value: place.customId,
      without: { ...place, customId: "" },
    },
    { key: "status", label: "status", value: place.status, without: { ...place, status: "" } },
    { key: "code", label: "error", value: place.code, without: { ...place, code: "" } },
  ].filter(({ value }) => value !== "");
  return [...chips, ...columns.map((column) => whereChip(place, column))];
}

/** @param {Place} place @param {string} column @returns {Chip} */
function whereChip(place, column) {
  const conditions = place.where.filter((one) => one.column === column);
  const said = conditions.map(({ operator, value }) =>
    `${SIGNS[/** @type {"eq"} */ (operator)]} ${short(value)}`.trim(),
  );
  return {
    key: `where ${column}`,
    label: WORDS[/** @type {"seconds"} */ (column)] ?? column,
    value: said.join(" and "),
    without: withoutColumn(place, column),
  };
}

/** A number with the digits that a person reads.
 * @param {string} value */
function short(value) {
  return /^-?\d+\.\d{3,}/.test(value) ? String(Number(Number(value).toPrecision(3))) : value;
}

/** The piece of a text around what was searched for, in three parts: before, the hit, after.
 * @param {string} text @param {string} part @param {number} [around] @returns {[string, string, string]} */
export function hitIn(text, part, around = 60) {
  const at = part ? text.toLowerCase().indexOf(part.toLowerCase()) : -1;
  if (at < 0) return [text, "", ""];
  const start = at > around * 2 ? at - around : 0;
  const end = at + part.length;
  return [(start > 0 ? "…" : "") + text.slice(start, at), text.slice(at, end), text.slice(end)];
}
