// Results of the past: the list of batches, or one batch and its requests.

import { byId, show } from "./dom.js";

const batchId = new URLSearchParams(location.search).get("batch");
show(byId("list"), batchId === null);
show(byId("one"), batchId !== null);
await import(batchId === null ? "./results_list.js" : "./results_batch.js");
