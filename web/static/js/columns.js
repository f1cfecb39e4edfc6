// Columns of a table of answers: the fixed ones, and one for each field the answers' JSON has. Also their CSV. Pure.

/** @typedef {import("./answers.js").ReadAnswer} ReadAnswer */
/** @typedef {{ id: string, title: string, numeric: boolean, value: (answer: ReadAnswer) => string | number | null }} Column */

const MAX_FIELDS = 12;
const MAX_DEPTH = 3;

/** @type {Column[]} */
export const FIXED = [
  { id: "custom_id", title: "custom_id", numeric: false, value: (answer) => answer.customId },
  { id: "answer", title: "Answer", numeric: false, value: (answer) => answer.text },
  { id: "tokens", title: "Tokens out", numeric: true, value: (answer) => answer.outputTokens },
  { id: "finish", title: "Finish", numeric: false, value: (answer) => answer.finishReason },
];

/** One column for each of the most frequent fields, named by their path: `score`, `reasons[0]`.
 * @param {ReadAnswer[]} answers @returns {Column[]} */
export function fieldColumns(answers) {
  /** @type {Map<string, { count: number, numbers: number }>} */
  const seen = new Map();
  for (const { json } of answers) {
    for (const [path, value] of leaves(json)) {
      const field = seen.get(path) ?? { count: 0, numbers: 0 };
      field.count += 1;
      if (typeof value === "number") field.numbers += 1;
      seen.set(path, field);
    }
  }
  const frequent = [...seen].sort(([, a], [, b]) => b.count - a.count).slice(0, MAX_FIELDS);
  return frequent.map(([path, { count, numbers }]) => ({
    id: `json.${path}`,
    title: path,
    numeric: numbers === count,
    value: ({ json }) => shown(valueAt(json, path)),
  }));
}

/** The paths of the plain values in a JSON value; of an array the first item only.
 * @param {any} value @param {string} [path] @param {number} [depth] @returns {Generator<[string, any]>} */
export function* leaves(value, path = "", depth = 0) {
  if (Array.isArray(value)) {
    if (depth < MAX_DEPTH && value.length > 0) yield* leaves(value[0], `${path}[0]`, depth + 1);
  } else if (typeof value === "object" && value !== null) {
    if (depth >= MAX_DEPTH) return;
    for (const [name, part] of Object.entries(value)) yield* leaves(part, path ? `${path}.${name}` : name, depth + 1);
  } else if (path && value !== undefined) yield [path, value];
}

/** @param {any} value @param {string} path as `leaves` writes it @returns {any} */
export function valueAt(value, path) {
  for (const [found, leaf] of leaves(value)) if (found === path) return leaf;
  return undefined;
}

/** @param {any} value @returns {string | number | null} */
function shown(value) {
  if (value === undefined || value === null) return null;
  return typeof value === "number" ? value : String(value);
}

/** Numbers by size, words by alphabet, nothing always last.
 * @param {Column} column @param {1 | -1} direction @returns {(a: ReadAnswer, b: ReadAnswer) => number} */
export function byColumn(column, direction) {
  return (a, b) => {
    const [left, right] = [column.value(a), column.value(b)];
    if (left === null || right === null) return left === right ? 0 : left === null ? 1 : -1;
    if (typeof left === "number" && typeof right === "number") return direction * (left - right);
    return direction * String(left).localeCompare(String(right), "en", { numeric: true });
  };
}

/** @param {Column[]} columns @param {ReadAnswer[]} answers */
export function toCsv(columns, answers) {
  const rows = [columns.map(({ title }) => title), ...answers.map((answer) => columns.map((column) => column.value(answer) ?? ""))];
  return rows.map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
}

/** Quoted where needed; a text that a spreadsheet would run as a formula gets an apostrophe in front.
 * @param {string | number} value */
export function csvCell(value) {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
