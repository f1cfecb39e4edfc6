"""A recorded run of submissions, workers, a crash and a cancellation, and what is left of it when the power fails."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from batch_app.database import Database
from batch_app.disk import failpoints
from batch_app.settings import Settings
from batch_app.store import batches, claims
from tests.lines import chat_line, chat_lines
from tests.processes.invariants import examine_echoes, examine_folder
from tests.worker.conftest import Bench
from tests.worker.disk import FATES, Disk, lay_out
from tests.worker.recording import Op, recording

_PAGES_BEFORE_CHECKPOINT = 12
_FINAL = ("completed", "cancelled")
_FACTS = text("""
    SELECT b.id, b.status, count(r.finished_at) FROM batches b JOIN requests r ON r.batch_id = b.id GROUP BY b.id
""")
LINES = [*chat_lines(18), chat_line("refused", "[[fail 400]]"), chat_line("flaky", "[[flaky 1]]")]


@dataclass
class Run:
    """`start` is the disk before the first call. `sent` has the lines of each batch."""

    start: Path
    ops: list[Op]
    sent: dict[str, list[dict[str, Any]]]

    def cuts(self) -> list[int]:
        """Every moment at which the power can fail: after so many calls."""
        return [at for at, op in enumerate(self.ops, 1) if op.kind != "fact"]


def prepared(settings: Settings, root: Path, *, now: float) -> Bench:
    """Checkpoints come early and often, so that they are among what is cut."""
    database = Database(settings.database_path)

    @event.listens_for(database.engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA wal_autocheckpoint = {_PAGES_BEFORE_CHECKPOINT}")

    return Bench(database, settings.model_copy(update={"data_dir": root, "window": 5, "chunk_size": 8}), now)


async def record_run(settings: Settings, start: Path) -> Run:
    """`settings.data_dir` has a fresh database and is left as it is at the end of the run; `start` is a copy."""
    with recording(settings.data_dir) as noted, _facts_noted(noted.note_fact) as watch:
        bench = prepared(settings, settings.data_dir, now=1e6)
        watch(bench.database)
        long, short = bench.submit(LINES), bench.submit(6)
        first = bench.worker()
        await bench.turns(first, until=lambda: bool(first.runs.arrived))
        for _ in range(2):
            await bench.turn(first)
        bench.crash(first)
        second = bench.worker()
        await bench.turn(second)
        batches.request_cancel(bench.database, batch_id=short, now=bench.now)
        await bench.finish(second, long, short)
        last = bench.submit(3)
        await bench.finish(second, last)
        for worker in bench.workers:
            bench._free(worker)
        sent = {long: LINES, short: chat_lines(6), last: chat_lines(3)}
        run = Run(start, list(noted.ops), sent)
        bench.database.close()
    return run


@contextmanager
def _facts_noted(note: Callable[[Any], None]) -> Iterator[Callable[[Database], None]]:
    """After each commit: the state of each batch, and how many of its lines have their end."""
    watched: list[Database] = []

    def committed(_step: object, side: str) -> None:
        if side == "committed" and watched:
            with watched[0].read() as connection:
                note({row[0]: (row[1], row[2]) for row in connection.execute(_FACTS)})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(failpoints, "reach_commit", committed)
        yield watched.append


def cuts_of(run: Run, count: int) -> list[int]:
    """So many of them, evenly spread over the run."""
    cuts = run.cuts()
    return [cuts[(number * 2 + 1) * len(cuts) // (2 * count)] for number in range(count)]


def survivors_of(run: Run, cut: int, fate: str, seed: int) -> dict[str, bytes]:
    disk = Disk(run.start)
    for op in run.ops[:cut]:
        disk.do(op)
    return disk.survivors(FATES[fate], random.Random(seed))


def facts_before(run: Run, cut: int) -> dict[str, tuple[str, int]]:
    """What somebody could have seen before the cut."""
    seen = [op.fact for op in run.ops[:cut] if op.kind == "fact"]
    return seen[-1] if seen else {}


async def recover(
    survivors: dict[str, bytes], root: Path, settings: Settings, run: Run
) -> dict[str, tuple[str, int]]:
    """Lay the survivors out, see that they are sound, let a new worker end what is open, and see to every answer.

    Returns what was there before that worker began.
    """
    lay_out(survivors, root)
    settings = settings.model_copy(update={"data_dir": root})
    bench = prepared(settings, root, now=2e6)
    try:
        with bench.database.read() as connection:
            found = {row[0]: (row[1], row[2]) for row in connection.execute(_FACTS)}
            assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
        worker = bench.worker()
        claims.release_lost_workers(
            bench.database, gone=[], silent_since=bench.now, except_id=worker.id, now=bench.now
        )
        await bench.finish(worker, *found)
    finally:
        for worker in bench.workers:
            bench._free(worker)
        bench.database.close()
    for batch_id in found:
        wrong = examine_echoes(root, batch_id, run.sent[batch_id])
        assert not wrong, wrong
    assert not (wrong := examine_folder(root)), wrong
    return found


def assert_nothing_seen_is_gone(
    before: dict[str, tuple[str, int]], after: dict[str, tuple[str, int]]
) -> None:
    for batch_id, (status, answered) in before.items():
        assert batch_id in after, f"{batch_id} was accepted and is gone"
        assert after[batch_id][1] >= answered, f"{batch_id} had {answered} answers, now {after[batch_id][1]}"
        assert status not in _FINAL or after[batch_id][0] == status, (
            f"{batch_id} was {status}, now {after[batch_id]}"
        )
