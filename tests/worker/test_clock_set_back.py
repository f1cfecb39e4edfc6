"""A clock that is set back by an hour (NTP after a start, a hardware clock in local time) costs nobody that hour, and
one that is set either way, nobody's life."""

import os
import socket
from collections.abc import Callable

import psutil
import pytest

from batch_app import worker as worker_process
from batch_app.database import Database
from batch_app.processing import lost_workers
from batch_app.settings import Settings
from batch_app.store import workers
from tests import factories
from tests.lines import chat_line
from tests.worker.conftest import Bench, HeldEngine, run

HOUR = 3600.0


def test_lines_are_taken_and_batches_end_all_the_same(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(window=2, chunk_size=2)
        batch_id = bench.submit([*[chat_line(f"line-{i}", "[[flaky 1]]") for i in range(3)], chat_line("d")])
        worker = bench.worker()
        await bench.turns(worker, until=lambda: len(worker.runs) == 1)
        await bench.turn(worker)
        bench.now -= HOUR
        began = bench.now
        await bench.finish(worker, batch_id)
        assert bench.now - began < 60

    run(scenario())


def test_a_line_that_waits_for_its_next_attempt_does_not_wait_for_the_clock(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(retry_backoff_seconds=60)
        batch_id = bench.submit([chat_line("flaky", "[[flaky 1]]")])
        worker = bench.worker()
        await bench.turns(worker, until=lambda: bench.ledger(batch_id, "attempts") == [(1,)])
        bench.now -= HOUR
        began = bench.now
        await bench.finish(worker, batch_id)
        assert bench.now - began < 90

    run(scenario())


def test_a_dead_worker_of_this_machine_is_noticed_at_once(
    bench: Bench, hide_processes: Callable[[], None]
) -> None:
    async def scenario() -> None:
        batch_id = bench.submit(2)
        dead = bench.worker(lambda _spec: HeldEngine())
        await bench.turns(dead, until=lambda: bench.batch(batch_id).worker_id == dead.id)
        successor = bench.worker()
        await bench.turn(successor)
        bench.now -= HOUR
        hide_processes()
        began = bench.now
        await bench.finish(successor, batch_id)
        assert bench.now - began < 60

    run(scenario())


@pytest.fixture
def hide_processes(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on every worker but the one that looks is found to be gone."""
    return lambda: monkeypatch.setattr("batch_app.processing.lost_workers.is_gone", lambda _worker: True)


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """By so many seconds. The system counts from its boot to each start of a process: when the clock moves, so does
    the moment at which it says that it booted."""
    booted_at = psutil.boot_time()
    return lambda by: monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: booted_at + by)


@pytest.mark.parametrize("by", [-HOUR, 1, 5, HOUR])
def test_a_worker_that_lives_is_not_taken_for_dead(
    database: Database, settings: Settings, set_clock: Callable[[float], None], by: float
) -> None:
    worker_process.register(database, settings, "worker_1")
    [worker] = workers.living_workers(database)
    started_at = psutil.Process().create_time()
    set_clock(by)
    assert psutil.Process().create_time() == pytest.approx(started_at + by), "or nothing is tried here"
    assert not lost_workers.is_gone(worker)


def test_a_row_of_the_version_before_tells_whether_its_process_lives_too(database: Database) -> None:
    """It noted the moment of the start. The pid alone says nothing: another process may have got it."""
    started_at = psutil.Process().create_time()
    for noted in (started_at, started_at - 100):
        factories.start_worker(database, host=socket.gethostname(), pid=os.getpid(), process_started_at=noted)
    found = {
        worker.process_started_at: lost_workers.is_gone(worker) for worker in workers.living_workers(database)
    }
    assert found == {started_at: False, started_at - 100: True}
