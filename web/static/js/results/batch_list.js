// The list of batches: filter by state, page by page from the server, both in the page's address.

import { callJson } from "../shared/api.js";
import { createBatchTable } from "../shared/batch_table.js";
import { FINAL } from "../shared/batches.js";
import { byId, setText, show } from "../shared/dom.js";
import { plural } from "../shared/format.js";
import { createFreshness, createPoller } from "../shared/live.js";
import { createLateActions, setUrl } from "../shared/page.js";

const PAGE_SIZE = 25;
const EVERY_MS = 15_000;

/** @typedef {import("../shared/wire.js").BatchList} BatchList */

const poller = createPoller({
  work: read,
  onDone: draw,
  onFail: (...failure) => freshness.failed(...failure),
});
const freshness = createFreshness({ retryNow: () => void poller.now() });
const table = createBatchTable(byId("table"), createLateActions({ changed: () => void poller.now() }));
/** The last of the batches shown, and the question they answer: what follows them follows no other list.
 * @type {{ lastId: string | null, asked: string }} */
let shown = { lastId: null, asked: "" };

function place() {
  const asked = new URLSearchParams(location.search);
  return { status: asked.get("status") ?? "finished", after: asked.get("after") };
}

function query() {
  const { status, after } = place();
  const statuses = status === "finished" ? FINAL : status === "all" ? [] : [status];
  const asked = new URLSearchParams(statuses.map((one) => ["status", one]));
  asked.set("limit", String(PAGE_SIZE));
  if (after) asked.set("after", after);
  return asked;
}

/** @param {string} status @param {string | null} [after] */
function go(status, after) {
  setUrl(`?${new URLSearchParams({ status, ...(after ? { after } : {}) })}`);
  arrive();
}

function arrive() {
  byId("status").value = place().status;
  void poller.now();
}

/** @param {AbortSignal} signal @returns {Promise<{ list: BatchList, asked: string }>} */
async function read(signal) {
  const asked = String(query());
  return { list: await callJson(`/v1/batches?${asked}`, { signal }), asked };
}

/** @param {{ list: BatchList, asked: string }} reading */
function draw({ list, asked }) {
  freshness.updated();
  const { status, after } = place();
  table.update(list.data, { oneState: FINAL.includes(status) });
  shown = { lastId: list.last_id, asked };
  const total =
    status === "finished"
      ? FINAL.reduce((sum, one) => sum + list.counts[/** @type {"all"} */ (one)], 0)
      : list.counts[/** @type {"all"} */ (status)];
  setText(byId("list-count"), plural(total ?? list.data.length, "batch", "batches"));
  show(byId("empty"), list.data.length === 0);
  show(byId("pager"), list.has_more || after !== null);
  byId("older").disabled = !list.has_more;
  byId("newest").disabled = after === null;
}

byId("status").addEventListener("change", () => go(byId("status").value));
byId("older").addEventListener(
  "click",
  () => shown.asked === String(query()) && go(place().status, shown.lastId),
);
byId("newest").addEventListener("click", () => go(place().status));
addEventListener("popstate", arrive);
poller.every(EVERY_MS);
arrive();
