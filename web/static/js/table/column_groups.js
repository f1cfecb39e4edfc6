// Several batches in one table: their columns, the heads above their columns, and which of them have a row.

import { callJson } from "../shared/api.js";
import { markOf } from "../shared/batch_picker.js";
import { displayName, letterOf } from "../shared/batches.js";
import { byId, el, reconcile, setAttribute, setText, show } from "../shared/dom.js";
import { integer, shortModel } from "../shared/format.js";
import { columnsOf, defaultColumns } from "./columns.js";
import { batchQuery, pagePath, tablePlaceOf } from "./url_state.js";

/** @typedef {import("./columns.js").Column} Column */
/** @typedef {import("./url_state.js").TablePlace} TablePlace */
/** @typedef {import("../shared/wire.js").Batch} Batch */
/** @typedef {import("../shared/wire.js").Field} Field */
/** @typedef {ReturnType<typeof import("../shared/page.js").createNotice>} Notice */
/** @typedef {{ batch: Batch, number: number, columns: number }} Group */

const NOTHING_IN_COMMON =
  "No custom_id is in all of these batches. Rows are joined by custom_id: give the same request the same one in each file.";

/** So many fields of each batch are shown until somebody chooses, by the number of batches. */
const USUAL_FIELDS = [6, 6, 3, 2, 1];

/** @type {{ batches: string, total: number } | null} */
let matched = null;
/** @type {Notice | undefined} */
let aside;

/** All that the batches offer, batch by batch, each with the number of its batch in front.
 * @param {Field[][]} fields of each batch @returns {Column[]} */
export function joinedColumns(fields) {
  const [id] = columnsOf([]);
  return [
    id,
    ...fields.flatMap((ours, batch) =>
      columnsOf(ours)
        .slice(1)
        .map((column) => ({ ...column, id: `${batch + 1}.${column.id}`, batch })),
    ),
  ];
}

/** What is shown until somebody chooses: the fields that most of the batches have before those of one alone.
 * @param {Field[][]} fields @param {{ hasFailures: boolean }} facts of any of them @returns {string[]} */
export function joinedDefaults(fields, { hasFailures }) {
  const having = (/** @type {string} */ path) =>
    fields.filter((ours) => ours.some((one) => one.path === path)).length;
  return [
    "custom_id",
    ...fields.flatMap((ours, batch) => {
      const ordered = [...ours].sort((one, two) => having(two.path) - having(one.path));
      const ids = defaultColumns(columnsOf(ordered), { hasFailures, most: USUAL_FIELDS[fields.length] });
      return ids.slice(1).map((id) => `${batch + 1}.${id}`);
    }),
  ];
}

/**
 * The same place with other batches. What is said about a batch that stays goes with it; one that takes
 * another's place
 * takes its columns and filters, and one that is added the columns of the first. One batch alone after
 * another begins anew.
 * @param {TablePlace} place @param {string[]} ids @returns {TablePlace} */
export function withBatches(place, ids) {
  const before = place.batches;
  if (before.length <= 1 && ids.length <= 1) return tablePlaceOf(`?${batchQuery({ batches: ids })}`);
  const from = ids.map((id, at) => {
    const stays = before.indexOf(id);
    return stays >= 0 ? stays : at < before.length && !ids.includes(before[at]) ? at : 0;
  });
  const renamed = (/** @type {string} */ id, /** @type {number} */ at) => {
    const [batch, name] = before.length > 1 ? [Number(id[0]) - 1, id.slice(2)] : [0, id];
    if (id === "custom_id" || id === "line") return id;
    return from[at] === batch ? (ids.length > 1 ? `${at + 1}.${name}` : name) : null;
  };
  const everywhere = (/** @type {string} */ id) => [
    ...new Set(ids.flatMap((_, at) => renamed(id, at) ?? [])),
  ];
  const once = (/** @type {string} */ id) => everywhere(id)[0];
  const sort = once(place.sort.replace(/^-/, ""));
  const { wrap, status, code, customId, text } = place;
  return {
    ...tablePlaceOf(`?${batchQuery({ batches: ids })}`),
    ...{ wrap, status, code, customId, text },
    sort: sort === undefined ? "line" : place.sort.startsWith("-") ? `-${sort}` : sort,
    columns: place.columns?.flatMap(everywhere) ?? null,
    where: place.where.flatMap((one) =>
      once(one.column) === undefined ? [] : { ...one, column: once(one.column) },
    ),
    widths: Object.fromEntries(
      Object.entries(place.widths).flatMap(([id, width]) => everywhere(id).map((name) => [name, width])),
    ),
  };
}

/** Says how many custom_ids all of the batches have, and what to do when there is none.
 * @param {TablePlace} place
 * @param {{ isComplete: boolean, notice: Notice }} around whether all answers are indexed; where to say it
 * @param {AbortSignal} signal */
export async function match(place, { isComplete, notice }, signal) {
  const all = { ...tablePlaceOf(`?${batchQuery(place)}`), having: "matched" };
  const { total } = await callJson(pagePath(all, [], 0, 1), { signal });
  matched = { batches: String(place.batches), total };
  aside = notice;
  if (total === 0 && isComplete) aside.say("warn", NOTHING_IN_COMMON);
  else aside.hide();
  drawHaving(place);
}

/** The upper row of the head. @param {Batch[]} batches @param {Column[]} columns that are shown */
export function drawGroups(batches, columns) {
  const groups = batches.map((batch, number) => ({
    batch,
    number,
    columns: columns.filter((column) => column.id !== "custom_id" && column.batch === number).length,
  }));
  const row = byId("groups");
  show(row, batches.length > 1);
  reconcile(
    row,
    [null, ...groups.filter((group) => group.columns > 0)],
    (group) => (group ? `${group.number} ${group.batch.id}` : ""),
    (group) => (group ? createGroup() : { node: el("td", { class: "corner" }), update() {} }),
  );
}

/** @returns {import("../shared/dom.js").View} */
function createGroup() {
  const name = el("b", { class: "word" });
  const model = el("span", { class: "muted word" });
  const state = el("span", { class: "state warn", hidden: true });
  const letter = el("span", { class: "letter" });
  const node = el(
    "th",
    { scope: "colgroup", class: "first" },
    el("span", { class: "group" }, letter, name, model, state),
  );
  return {
    node,
    /** @param {Group} group */
    update({ batch, number, columns }) {
      const { completed, failed } = batch.request_counts;
      if (letter.textContent !== letterOf(number)) letter.replaceChildren(markOf(number));
      setAttribute(node, "colspan", String(columns));
      setAttribute(node, "title", `${displayName(batch)} · ${batch.model}`);
      setText(name, displayName(batch));
      setText(model, shortModel(batch.model));
      show(state, completed + failed === 0);
      setText(state, "no answers yet");
    },
  };
}

/** Which of the batches have the rows that are shown.
 * @param {TablePlace} place */
export function drawHaving(place) {
  const select = byId("having");
  const count = place.batches.length;
  show(select.parentElement, count > 1);
  if (select.options.length !== count + 3) {
    const only = Array.from({ length: count }, (_, batch) => [String(batch + 1), `only ${letterOf(batch)}`]);
    const choices = [
      ["", "any batch"],
      ["matched", count === 2 ? "both" : "all of them"],
      ["unmatched", count === 2 ? "not both" : "not all"],
      ...only,
    ];
    select.replaceChildren(...choices.map(([value, word]) => el("option", { value }, word)));
  }
  select.value = place.having;
  const isKnown = matched?.batches === String(place.batches);
  setText(
    byId("matched"),
    isKnown ? `${integer(matched?.total)} in ${count === 2 ? "both" : `all ${count}`}` : "",
  );
  if (!isKnown) aside?.hide();
}
