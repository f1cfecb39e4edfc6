// Says how old the numbers on the page are, and greys them when the API is gone.

import { ApiError, enterKey, forgetDecline } from "./api.js";
import { byId, el, setText, show } from "./dom.js";
import { ago, duration } from "./format.js";
import { createNotice, messageOf, withCommands } from "./notice.js";

const LATE_AFTER_SECONDS = 40;

/** Needs #live with #age, #announce and #content on the page.
 * @param {{ retryNow: () => void }} actions */
export function createFreshness({ retryNow }) {
  /** @type {number | null} */
  let updatedAt = null;
  let lost = false;
  /** @type {number | null} */
  let retryAt = null;
  const title = el("strong");
  const detail = el("span");
  const hint = el("p", { class: "small muted" }, ...withCommands("Is it running? Start it with make api and look at its terminal."));
  const keyButton = el("button", { type: "button", hidden: true }, "Enter key");
  const retryButton = el("button", { type: "button" }, "Try now");
  const notice = createNotice({ buttons: [keyButton, retryButton] });

  retryButton.addEventListener("click", retryNow);
  keyButton.addEventListener("click", async () => {
    forgetDecline();
    if (await enterKey()) retryNow();
  });
  setInterval(tick, 1000);

  function tick() {
    const now = Date.now();
    const age = updatedAt === null ? null : (now - updatedAt) / 1000;
    setText(byId("age"), age === null ? (lost ? "never" : "…") : ago(Math.floor(age)));
    byId("live").dataset.live = lost ? "lost" : age === null ? "" : age > LATE_AFTER_SECONDS ? "late" : "fresh";
    if (lost) setText(detail, lostDetail(now));
  }

  /** @param {number} now */
  function lostDetail(now) {
    const numbers = updatedAt === null ? "Nothing has been read yet." : `The numbers below are ${duration((now - updatedAt) / 1000)} old.`;
    if (retryAt === null) return numbers;
    const wait = Math.ceil((retryAt - now) / 1000);
    return `${numbers} ${wait > 0 ? `Trying again in ${wait} s.` : "Trying again now."}`;
  }

  /** @param {boolean} value */
  function setLost(value) {
    if (lost === value) return;
    lost = value;
    setText(byId("announce"), value ? "The API does not answer." : "The API answers again.");
    if (value) notice.say("bad", el("p", {}, title, " ", detail), hint);
    else notice.hide();
    byId("content").classList.toggle("stale", value);
  }

  return {
    updated() {
      updatedAt = Date.now();
      setLost(false);
      byId("content").classList.remove("loading");
      tick();
    },
    /** Shown from the second failure in a row, or at once when the API answered but refused.
     * @param {unknown} error @param {number} failures @param {number | null} delayMs */
    failed(error, failures, delayMs) {
      retryAt = delayMs === null ? null : Date.now() + delayMs;
      const refused = error instanceof ApiError;
      setText(title, messageOf(error));
      show(keyButton, refused && error.status === 401);
      show(hint, !refused);
      if (failures > 1 || refused) setLost(true);
      tick();
    },
  };
}
