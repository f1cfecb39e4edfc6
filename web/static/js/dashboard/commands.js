// One batch as commands for a terminal or a script: how it is doing, and its answers. Pure.

import { batchPath, resultsPath } from "../shared/batches.js";

/** @typedef {import("../shared/wire.js").Batch} Batch */
/** @typedef {{ api: string, key: boolean }} Target the API's address, and whether it wants a key */

/** @param {Batch} batch @param {Target} target */
export function asCurl(batch, { api, key }) {
  const header = key ? ` -H "Authorization: Bearer $BATCH_API_KEY"` : "";
  const path = batchPath(batch.id);
  return [
    `curl -fsS${header} ${quoted(api + path)}`,
    `curl -fsS${header} -o ${quoted(`${batch.id}_output.jsonl`)} ${quoted(api + resultsPath(batch))}`,
    "",
  ].join("\n");
}

/** For a POSIX shell: nothing inside is special.
 * @param {string} text */
function quoted(text) {
  return /^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** @param {Batch} batch @param {Target} target */
export function asPython(batch, { api, key }) {
  const headers = key ? `headers = {"Authorization": f"Bearer {os.environ['BATCH_API_KEY']}"}\n` : "";
  const more = key ? ", headers=headers" : "";
  return `${key ? "import os\n\n" : ""}import requests

url = ${JSON.stringify(`${api}${batchPath(batch.id)}`)}
${headers}
batch = requests.get(url${more}, timeout=60).json()
print(batch["status"], batch["request_counts"])

with requests.get(f"{url}/results"${more}, stream=True, timeout=60) as answers:
    answers.raise_for_status()
    with open(${JSON.stringify(`${batch.id}_output.jsonl`)}, "wb") as file:
        for piece in answers.iter_content(1 << 20):
            file.write(piece)
`;
}
