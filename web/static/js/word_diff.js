// What changed between two texts, word by word. Pure, and bounded: long texts are not compared in detail.

/** @typedef {{ kind: "same" | "removed" | "added", text: string }} Piece */

const MAX_CELLS = 400_000;

/** @param {string} before @param {string} after @returns {Piece[] | null} null when the texts are too long to compare */
export function wordDiff(before, after) {
  const [a, b] = [words(before), words(after)];
  const start = commonStart(a, b);
  const end = commonEnd(a, b, start);
  const middleA = a.slice(start, a.length - end);
  const middleB = b.slice(start, b.length - end);
  if (middleA.length * middleB.length > MAX_CELLS) return null;
  const pieces = [
    ...a.slice(0, start).map((text) => piece("same", text)),
    ...middle(middleA, middleB),
    ...a.slice(a.length - end).map((text) => piece("same", text)),
  ];
  return merged(pieces);
}

/** @param {string} text */
function words(text) {
  return text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];
}

/** @param {Piece["kind"]} kind @param {string} text @returns {Piece} */
function piece(kind, text) {
  return { kind, text };
}

/** @param {string[]} a @param {string[]} b */
function commonStart(a, b) {
  let count = 0;
  while (count < a.length && count < b.length && a[count] === b[count]) count += 1;
  return count;
}

/** @param {string[]} a @param {string[]} b @param {number} start */
function commonEnd(a, b, start) {
  let count = 0;
  while (count < a.length - start && count < b.length - start && a[a.length - 1 - count] === b[b.length - 1 - count]) count += 1;
  return count;
}

/** The longest common subsequence, walked from its table.
 * @param {string[]} a @param {string[]} b @returns {Piece[]} */
function middle(a, b) {
  const width = b.length + 1;
  const lengths = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] = a[i] === b[j] ? lengths[(i + 1) * width + j + 1] + 1 : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
    }
  }
  /** @type {Piece[]} */
  const found = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      found.push(piece("same", a[i]));
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])) {
      found.push(piece("removed", a[i]));
      i += 1;
    } else {
      found.push(piece("added", b[j]));
      j += 1;
    }
  }
  return found;
}

/** Neighbours of one kind become one piece; a space between two changes belongs to the change around it.
 * @param {Piece[]} pieces */
function merged(pieces) {
  /** @type {Piece[]} */
  const out = [];
  const change = { removed: "", added: "" };
  function flush() {
    for (const kind of /** @type {const} */ (["removed", "added"])) {
      if (change[kind]) out.push(piece(kind, change[kind]));
      change[kind] = "";
    }
  }
  pieces.forEach(({ kind, text }, index) => {
    if (kind !== "same") change[kind] += text;
    else if (change.removed && change.added && !text.trim() && (pieces[index + 1]?.kind ?? "same") !== "same") {
      change.removed += text;
      change.added += text;
    } else {
      flush();
      const last = out.at(-1);
      if (last?.kind === "same") last.text += text;
      else out.push(piece("same", text));
    }
  });
  flush();
  return out;
}
