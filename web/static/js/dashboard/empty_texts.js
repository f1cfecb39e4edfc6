// What an empty list says: why it is empty and what to do next. Pure.

/** @type {Record<string, string>} */
const NOTHING = {
  active: "Nothing is running",
  queued: "Nothing is waiting",
  completed: "No batch has completed yet",
  failed: "No batch has failed",
  cancelled: "No batch was cancelled",
  expired: "No batch has expired",
  all: "No batches",
};

/** @param {boolean} more whether older batches were not looked at
 * @returns {{ title: string, text: string, submit: boolean }} */
export function nothingMatches(more) {
  return {
    title: "No batch matches",
    text: more
      ? "Only the newest 100 were looked at; “Older” looks further back."
      : "Press ? for the words that the filter knows.",
    submit: false,
  };
}

/** @param {string} tab @param {boolean} never no batch was ever submitted
 * @returns {{ title: string, text: string, submit: boolean }} */
export function emptyText(tab, never) {
  if (never && (tab === "active" || tab === "all")) {
    return {
      title: "No batches yet",
      text: "A batch is a JSONL file with one request per line. Submit one here, or send it to POST /v1/batches.",
      submit: true,
    };
  }
  const text = {
    active: "The worker takes the next batch as soon as it is submitted.",
    queued: "Batches wait here when the worker is busy with others.",
    completed: "Finished batches and their downloads appear here.",
    failed:
      "A batch fails as a whole when its file is not valid or its model cannot be loaded; single failed requests do not fail a batch.",
    cancelled: "Answers finished before a cancellation stay downloadable here.",
    expired: "Batches that ran out of their completion window keep their finished answers here.",
  }[tab];
  return { title: NOTHING[tab] ?? NOTHING.all, text: text ?? "", submit: tab === "active" };
}
