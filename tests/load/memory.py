"""How much memory the processes take on with every 1,000 requests that they work on."""

import time
from collections.abc import Iterator

import psutil
import requests

from tests.lines import chat_line, jsonl
from tests.processes.system import System

_BATCH_LINES = 1000
_TEXT = "What the candidate says about the work they did before. " * 30


def growth(system: System, *, warm_up: int, lines: int) -> Iterator[dict[str, float]]:
    """Started processes answer `warm_up` requests, then `lines`; yields after every 1,000 of these the MiB that each
    process has taken on with them."""
    processes = {str(process.args[-1]): psutil.Process(process.pid) for process in system.processes}
    for _ in range(0, warm_up, _BATCH_LINES):
        _one_batch(system)
    before = {name: process.memory_info().rss for name, process in processes.items()}
    for _ in range(0, lines, _BATCH_LINES):
        _one_batch(system)
        now = {name: process.memory_info().rss for name, process in processes.items()}
        yield {name: (now[name] - before[name]) / 2**20 for name in now}
        before = now


def _one_batch(system: System) -> None:
    """Submitted, watched, downloaded, looked at as a table, and its files deleted, as clients do."""
    batch_id = system.submit(jsonl(chat_line(f"line-{i}", f"{i} {_TEXT}") for i in range(_BATCH_LINES)))
    batch = system.wait_for_end(batch_id, timeout=300)
    assert len(system.results(batch_id).splitlines()) == _BATCH_LINES
    system.get(f"/v1/batches/{batch_id}/answers?sort=-answer")
    for file_id in (batch["output_file_id"], batch["input_file_id"]):
        requests.delete(f"{system.url}/v1/files/{file_id}", timeout=60).raise_for_status()
    time.sleep(0.1)
