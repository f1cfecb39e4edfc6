// Results of the past: the list of batches, or one batch and its requests.

import { byId, show } from "../shared/dom.js";
import { startPage } from "../shared/page.js";

startPage();

const batchId = new URLSearchParams(location.search).get("batch");
show(byId("list"), batchId === null);
show(byId("one"), batchId !== null);
await import(batchId === null ? "./batch_list.js" : "./batch.js");
