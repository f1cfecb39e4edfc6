// What stands around the rows besides the filters: counts, the empty and the loading state, links, the tools' values.

import { displayName } from "./batches.js";
import { byId, setAttribute, setText, show } from "./dom.js";
import { integer, plural } from "./format.js";
import { emptyWords } from "./table_words.js";

/** @typedef {import("./table_place.js").TablePlace} TablePlace */
/** @typedef {import("./table_reading.js").Extent} Extent */
/** @typedef {{ place: TablePlace, batch: import("./wire.js").Batch | null, extent: Extent | null, isLoading: boolean }} State */

/** The tools show the place, but leave alone what somebody is typing in.
 * @param {TablePlace} place */
export function drawTools(place) {
  show(byId("tools"), place.batch !== "");
  setAttribute(byId("wrap"), "aria-pressed", String(place.wrap));
  for (const [id, value] of Object.entries({ search: place.text, status: place.status })) {
    if (document.activeElement !== byId(id)) byId(id).value = value;
  }
}

/** @param {State} state */
export function drawState({ place, batch, extent, isLoading }) {
  if (batch) setText(byId("title"), `${displayName(batch)} · Table · Batch`);
  if (batch) byId("results").href = `index.html?batch=${encodeURIComponent(batch.id)}`;
  const hasRows = extent !== null && extent.total > 0;
  show(byId("exports"), batch !== null);
  for (const id of ["csv", "jsonl", "foot"]) show(byId(id), hasRows);
  show(byId("loading"), isLoading);
  show(byId("scroll"), extent !== null);
  setText(byId("count"), extent ? countWords(extent) : "");
  show(byId("indexing"), extent !== null && !extent.complete);
  setText(byId("indexing"), `indexing: ${integer(extent?.indexed)} answers so far`);
  drawEmpty(isLoading ? null : emptyWords(place, extent, batch));
  show(byId("choices"), place.batch === "");
}

/** @param {Extent} extent */
function countWords({ total, indexed }) {
  return total === indexed ? plural(total, "answer") : `${integer(total)} of ${plural(indexed, "answer")}`;
}

/** @param {import("./table_words.js").EmptyWords | null} words */
function drawEmpty(words) {
  show(byId("empty"), words !== null);
  setText(byId("empty-title"), words?.title ?? "");
  setText(byId("empty-text"), words?.text ?? "");
  show(byId("clear"), words?.clear ?? false);
}
