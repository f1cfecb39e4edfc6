"""P10: what the system itself costs for each line, with an engine that answers at once.

50,000 short lines go in; timed from the first byte of the upload to `completed`. The worker's memory is its highest
resident size after 5,000 answers less its size then. The bare loop reads and parses the same file, asks the same
engine, and writes and syncs its answers in groups as large as the worker's: what the system takes beyond that is the
price of HTTP, the queue, the ledger and of never losing or repeating an answer.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from batch_app.inference.echo_engine import EchoEngine
from batch_app.inference.engine import EngineRequest
from batch_app.input.request_lines import answer_line, engine_body
from batch_app.processing.worker_loop import RECORD_LINES
from scripts.bench.context import Bench
from scripts.bench.figures import Figure, Target
from scripts.bench.system import System, highest
from scripts.bench.workloads import write_bulk

ROWS = ("P10",)
_LINE_BYTES = 400
_WARM_SHARE = 0.1
_POLL_SECONDS = 0.05


def measure(bench: Bench) -> Iterator[Figure]:
    count = bench.options.sizes.bulk_lines
    file = write_bulk(bench.new_folder() / "echo.jsonl", count=count, line_bytes=_LINE_BYTES, model="m")
    ours, bare, grown, loudest = [], [], [], 0.0
    for _ in range(bench.options.sizes.pairs):
        with bench.system() as system:
            run = bench.noise.run(f"{count:,} lines end to end", lambda: _end_to_end(system, file, count))
        ours.append(run.value[0])
        grown.append(run.value[1])
        alone = bench.noise.run("bare loop", lambda: asyncio.run(_bare_loop(file, bench.new_folder())))
        bare.append(alone.value)
        loudest = max(loudest, run.others, alone.others)
    runs = {"system, s": ours, "bare loop, s": bare}
    best = sorted(ours)[len(ours) // 2]
    yield Figure(
        "P10",
        f"echo engine, {count:,} lines, upload to completed",
        Target("≥", 3000, "lines/s"),
        count / best,
        "lines/s",
        runs=runs,
        others=loudest,
    )
    yield Figure(
        "P10", "worker's memory grown", Target("≤", 50, "MB"), max(grown) / 1e6, "MB", others=loudest
    )
    per_line = [1e6 * (a - b) / count for a, b in zip(ours, bare, strict=True)]
    yield Figure(
        "P10",
        "cost per line over a bare loop that reads, parses, answers, writes and syncs",
        None,
        sorted(per_line)[len(per_line) // 2],
        "µs",
        note=f"the bare loop itself: {1e6 * sorted(bare)[len(bare) // 2] / count:.0f} µs",
        others=loudest,
    )


def _end_to_end(system: System, file: Path, count: int) -> tuple[float, int]:
    began = time.time()
    batch_id = system.submit(file, "m")
    while system.get(f"/v1/batches/{batch_id}")["request_counts"]["completed"] < _WARM_SHARE * count:
        time.sleep(_POLL_SECONDS)
    warm = system.rss("worker")
    with highest(lambda: system.rss("worker"), every=_POLL_SECONDS) as peak:
        ended = system.wait_for_end([batch_id])
    return ended - began, peak[0] - warm


async def _bare_loop(source: Path, folder: Path) -> float:
    engine = EchoEngine()
    began = time.monotonic()
    with source.open("rb") as lines, (folder / "answers.jsonl").open("wb") as answers:
        group: list[bytes] = []
        for number, raw in enumerate(lines, 1):
            request = EngineRequest(str(number), "/v1/chat/completions", engine_body(raw, model="m"))
            body = orjson.loads((await engine.answer(request)).body)
            group.append(
                answer_line(
                    batch_id="batch_bare",
                    line=number,
                    custom_id=orjson.loads(raw)["custom_id"],
                    request_id=str(number),
                    status=200,
                    body=body,
                )
            )
            if len(group) == RECORD_LINES:
                _write(answers.fileno(), group)
        _write(answers.fileno(), group)
    return time.monotonic() - began


def _write(descriptor: int, group: list[bytes]) -> None:
    os.write(descriptor, b"".join(group))
    os.fdatasync(descriptor)
    group.clear()
