// The submission of the page as code: for a shell, for Python's requests, for OpenAI's client. Pure.
// File names and metadata are other people's words: each is quoted so that it stays one string.

/**
 * @typedef {{ apiUrl: string, hasKey: boolean, filename: string, model: string, endpoint: string, priority:
 * number, metadata: Record<string, string>, handling: import("./form.js").Handling }} Order
 */
/** @typedef {{ id: string, word: string, write: (order: Order) => string }} Sample */

/** @type {Sample[]} */
export const SAMPLES = [
  { id: "curl", word: "curl", write: curlCode },
  { id: "requests", word: "Python requests", write: requestsCode },
  { id: "openai", word: "OpenAI client", write: openaiCode },
];

const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** One word for a POSIX shell; bash's and zsh's $'…' where there is something that cannot be seen.
 * @param {string} text */
export function shellWord(text) {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  if (text.search(INVISIBLE) < 0) return `'${text.replaceAll("'", `'\\''`)}'`;
  return `$'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'").replace(INVISIBLE, escaped)}'`;
}

/** A string of Python.
 * @param {string} text */
export function pythonText(text) {
  return JSON.stringify(text).replace(INVISIBLE, escaped);
}

/** @param {string} sign */
function escaped(sign) {
  const code = /** @type {number} */ (sign.codePointAt(0));
  return code > 0xffff
    ? `\\U${code.toString(16).padStart(8, "0")}`
    : `\\u${code.toString(16).padStart(4, "0")}`;
}

/** @param {Record<string, string>} metadata */
function hasMetadata(metadata) {
  return Object.keys(metadata).length > 0;
}

/** @param {Order} order */
function curlCode({ apiUrl, hasKey, filename, model, priority, metadata, handling }) {
  const file = `file=@"${filename.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
  const parts = [
    `curl ${shellWord(`${apiUrl}/v1/batches`)}`,
    hasKey && '-H "Authorization: Bearer $BATCH_API_KEY"',
    `-F ${shellWord(/^[\w./-]+$/.test(filename) ? `file=@${filename}` : file)}`,
    `--form-string ${shellWord(`model=${model}`)}`,
    hasMetadata(metadata) && `--form-string ${shellWord(`metadata=${JSON.stringify(metadata)}`)}`,
    priority !== 0 && `-F priority=${priority}`,
    ...Object.entries(handling).map(([name, value]) => `-F ${name}=${value}`),
  ];
  return parts.filter(Boolean).join(" \\\n  ");
}

/** @param {Order} order */
function requestsCode({ apiUrl, hasKey, filename, model, priority, metadata, handling }) {
  const data = [
    `"model": ${pythonText(model)}`,
    hasMetadata(metadata) && `"metadata": json.dumps(${pythonDict(metadata)})`,
    priority !== 0 && `"priority": ${priority}`,
    ...Object.entries(handling).map(([name, value]) => `"${name}": "${value}"`),
  ].filter(Boolean);
  return [
    ...(hasMetadata(metadata) ? ["import json"] : []),
    ...(hasKey ? ["import os"] : []),
    ...(hasMetadata(metadata) || hasKey ? [""] : []),
    "import requests",
    "",
    `with open(${pythonText(filename)}, "rb") as file:`,
    "    answer = requests.post(",
    `        ${pythonText(`${apiUrl}/v1/batches`)},`,
    '        files={"file": file},',
    `        data={${data.join(", ")}},`,
    ...(hasKey ? [`        headers={"Authorization": "Bearer " + os.environ["BATCH_API_KEY"]},`] : []),
    "    )",
    "answer.raise_for_status()",
    'print(answer.json()["batch_id"])',
  ].join("\n");
}

/** @param {Order} order */
function openaiCode({ apiUrl, hasKey, filename, model, endpoint, priority, metadata, handling }) {
  const extra = [
    ...(priority !== 0 ? [`"priority": ${priority}`] : []),
    ...Object.entries(handling).map(
      ([name, value]) => `"${name}": ${value === true ? "True" : pythonText(value)}`,
    ),
  ];
  return [
    ...(hasKey ? ["import os", ""] : []),
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url=${pythonText(`${apiUrl}/v1`)}, api_key=${hasKey ? 'os.environ["BATCH_API_KEY"]' : '"none"'})`,
    `with open(${pythonText(filename)}, "rb") as file:`,
    '    uploaded = client.files.create(file=file, purpose="batch")',
    `# Here the model is what the lines name: write ${pythonText(model)} into each.`,
    "batch = client.batches.create(",
    "    input_file_id=uploaded.id,",
    `    endpoint=${pythonText(endpoint)},`,
    '    completion_window="24h",',
    ...(hasMetadata(metadata) ? [`    metadata=${pythonDict(metadata)},`] : []),
    ...(extra.length > 0 ? [`    extra_body={${extra.join(", ")}},`] : []),
    ")",
    "print(batch.id)",
  ].join("\n");
}

/** @param {Record<string, string>} values */
function pythonDict(values) {
  return `{${Object.entries(values)
    .map(([name, value]) => `${pythonText(name)}: ${pythonText(value)}`)
    .join(", ")}}`;
}
