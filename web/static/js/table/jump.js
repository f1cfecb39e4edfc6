// Goes to the row that somebody names, by its number or by how its custom_id begins: among all that match, in
// the order shown.

import { byId, setText } from "../shared/dom.js";
import { integer } from "../shared/format.js";
import { findRow } from "./row_pages.js";
import { questionOf } from "./url_state.js";

let jumps = 0;

/**
 * @param {{ place: () => import("./url_state.js").TablePlace, total: number, go: (index: number, options: {
 * mark: boolean }) => void }} shown
 */
export async function jump({ place, total, go }) {
  const field = byId("jump-to");
  const word = field.value.trim();
  if (total === 0 || word === "") return field.focus();
  jumps += 1;
  const mine = jumps;
  const asked = questionOf(place());
  const isRow = byId("jump-kind").value === "row";
  const index = isRow ? rowNumber(word, total) : await findRow(place(), word);
  if (mine !== jumps || asked !== questionOf(place())) return; // another jump or question has overtaken this one
  setText(byId("announce"), index === null ? "No such row" : `Row ${integer(index + 1)}`);
  field.setCustomValidity(
    index !== null
      ? ""
      : isRow
        ? `A number from 1 to ${integer(total)}`
        : "No custom_id here begins like this",
  );
  field.reportValidity();
  if (index !== null) go(index, { mark: true });
}

/** @param {string} word what somebody typed @param {number} total @returns {number | null} counted from 0 */
function rowNumber(word, total) {
  const number = Number(word.replaceAll(",", ""));
  return Number.isInteger(number) && number >= 1 && number <= total ? number - 1 : null;
}
