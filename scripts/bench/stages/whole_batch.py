"""P1, P2 and P11: one batch of equal requests, against `LLM.chat` of all at once, vLLM's `run_batch` and chunks.

Prompts of about 128 tokens, 64 tokens out. Ours is timed from "accepted" to "completed"; the others from reading the
file to the last answer, in processes that have loaded the model and answered a warm-up before. All take turns, with
the same engine arguments, but for `run_batch`: untuned, which P2 is about, it is told what the model needs to load and
nothing about speed; for comparison it then has our arguments, except for limits on sequences and tokens in a step.

P11 repeats what the last of our runs made durable, group by group, once with syncs and once without: the difference
is what durability can have cost, were none of it hidden behind the engine's work.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import select

from batch_app.database import Database
from batch_app.disk.files import AnswerLog
from batch_app.store.tables import requests
from scripts.bench.context import AUTO_BINDING, Bench
from scripts.bench.figures import Figure, Target, median_ratio
from scripts.bench.workloads import uniform

ROWS = ("P1", "P2", "P11")
_CHUNKS = 4
_IN_CHUNKS = f"LLM.chat in {_CHUNKS} chunks with a barrier"
_LIMITS: dict[str, Any] = dict.fromkeys(("max_num_seqs", "max_num_batched_tokens"))
_UNTUNED = {**_LIMITS, **dict.fromkeys(("enforce_eager", "enable_prefix_caching"))}


def measure(bench: Bench) -> Iterator[Figure]:
    sizes, options = bench.options.sizes, bench.options
    prompts = uniform(sizes.prompts)
    seconds, others = bench.in_turn(
        {
            "system": bench.batch(prompts),
            "LLM.chat": bench.compared("chat", prompts),
            "run_batch untuned": bench.compared(
                "run_batch-untuned", prompts, environment=AUTO_BINDING, **_UNTUNED
            ),
            "run_batch with our arguments": bench.compared("run_batch", prompts, **_LIMITS),
            _IN_CHUNKS: bench.compared("chat", prompts, chunk=max(sizes.prompts // _CHUNKS, 1)),
        }
    )
    ours = seconds.pop("system")
    rows = {
        "LLM.chat": ("P1", Target("≥", 0.95 if options.on_gpu else 0.90)),
        "run_batch untuned": ("P2", Target("≥", 1.0)),
    }
    for name, theirs in seconds.items():
        row, target = rows.get(name, ("P2", None))
        yield Figure(
            row,
            f"{sizes.prompts} prompts 128/64 tokens: speed against {name}",
            target,
            median_ratio(theirs, ours),
            runs={"system, s": ours, f"{name}, s": theirs},
            others=others,
        )
    yield _durability(bench, ours[-1])


def _durability(bench: Bench, seconds: float) -> Figure:
    groups = _groups(bench.last_data / "batch.db")
    run = bench.noise.run("durability", lambda: _replay(bench.new_folder(), groups, syncs=True))
    free = _replay(bench.new_folder(), groups, syncs=False)
    return Figure(
        "P11",
        "durability (FULL + grouped fdatasync) of that batch's time",
        Target("≤", 2, "%"),
        100 * max(run.value - free, 0.0) / seconds,
        "%",
        note=f"{len(groups)} groups: {run.value:.2f} s with syncs, {free:.2f} s without; batch {seconds:.1f} s",
        others=run.others,
    )


def _groups(path: Path) -> list[list[int]]:
    """The lengths of the answers that were recorded together, of the batch that ended last."""
    database = Database(path)
    of_batch = select(requests.c.batch_id).order_by(requests.c.finished_at.desc()).limit(1).scalar_subquery()
    query = select(requests.c.finished_at, requests.c.answer_length).where(requests.c.batch_id == of_batch)
    groups: dict[float, list[int]] = {}
    with database.read() as connection:
        for finished_at, length in connection.execute(query):
            groups.setdefault(finished_at, []).append(length)
    database.close()
    return list(groups.values())


def _replay(folder: Path, groups: list[list[int]], *, syncs: bool) -> float:
    """Seconds for appending each group to a log and committing a transaction after it."""
    database = Database(folder / "batch.db")
    raw = database.engine.raw_connection()  # the pool's only one: nothing else asks meanwhile
    raw.cursor().execute("CREATE TABLE lines (line INTEGER PRIMARY KEY, length INTEGER)")
    if not syncs:
        raw.cursor().execute("PRAGMA synchronous = OFF")
    raw.close()
    log = AnswerLog(folder / "work", "output", epoch=1, base=0)
    line = 0
    with patch("os.fdatasync", os.fdatasync if syncs else lambda _descriptor: None):
        began = time.monotonic()
        for group in groups:
            log.append([b"x" * length for length in group])
            with database.write() as connection:
                for length in group:
                    line += 1
                    connection.exec_driver_sql("INSERT INTO lines VALUES (?, ?)", (line, length))
        took = time.monotonic() - began
    log.close()
    database.close()
    return took
