// Results of the past: the list of batches, or one batch and its requests.

import { byId, show } from "./dom.js";

const batchId = new URLSearchParams(location.search).get("batch");
show(byId("list"), batchId === null);
show(byId("one"), batchId !== null);
if (batchId === null) (await import("./results_list.js")).start();
else (await import("./results_batch.js")).start(batchId);
