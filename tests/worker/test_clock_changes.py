"""A clock that is set by an hour (NTP after a start, a hardware clock in local time) changes nothing inside a process.

What a process waits for is measured on the monotonic clock.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable

import psutil
import pytest

from batch_app import worker as worker_process
from batch_app.database import Database
from batch_app.inference.echo_engine import EchoEngine
from batch_app.processing import lost_workers
from batch_app.processing.engine_supervisor import EngineState
from batch_app.processing.scheduling import OTHERS_SECONDS
from batch_app.settings import Settings
from batch_app.store import workers
from tests import factories
from tests.lines import chat_line, chat_lines
from tests.worker.conftest import Bench, HeldEngine, run

HOUR = 3600.0


@pytest.mark.parametrize("by", [-HOUR, HOUR])
def test_lines_are_taken_and_batches_end_all_the_same(bench: Bench, by: float) -> None:
    async def scenario() -> None:
        bench.with_settings(window=2, chunk_size=2)
        batch_id = bench.submit([*[chat_line(f"line-{i}", "[[flaky 1]]") for i in range(3)], chat_line("d")])
        worker = bench.worker()
        await bench.turns(worker, until=lambda: len(worker.runs) == 1)
        await bench.turn(worker)
        bench.now += by
        began = bench.now
        await bench.finish(worker, batch_id)
        assert bench.now - began < 60

    run(scenario())


@pytest.mark.parametrize("by", [-HOUR, HOUR])
def test_a_stop_takes_its_grace_and_no_more(bench: Bench, monkeypatch: pytest.MonkeyPatch, by: float) -> None:
    async def scenario() -> None:
        bench.with_settings(window=4, grace_seconds=1)
        engine = HeldEngine()
        bench.submit(20)
        worker = bench.worker(lambda _spec: engine)
        await bench.turns(worker, until=lambda: len(engine.asked) == 4)
        worker.stop()
        began = time.monotonic()
        ending = asyncio.create_task(worker.run_forever())
        await asyncio.sleep(0.1)
        wall = time.time
        monkeypatch.setattr(time, "time", lambda: wall() + by)
        await asyncio.wait_for(ending, timeout=10)
        assert time.monotonic() - began >= 1

    run(scenario())


@pytest.mark.parametrize("by", [-HOUR, HOUR])
def test_a_dead_engine_is_started_again_when_its_wait_is_over(bench: Bench, by: float) -> None:
    """Twice dead without an answer it waits a second, three times dead three."""

    async def scenario() -> None:
        engines = [EchoEngine(), EchoEngine(), EchoEngine()]
        for engine in engines:
            engine._dead.set()
        script = iter([*engines, EchoEngine()])
        batch_id = bench.submit(2)
        worker = bench.worker(lambda _spec: next(script))
        await bench.turns(worker, until=lambda: worker.room.next_start_at == bench.steady + 3)
        bench.now += by
        await bench.turn(worker)
        assert worker.room.state is EngineState.DEAD
        began = bench.steady
        await bench.finish(worker, batch_id)
        assert bench.steady - began < 60

    run(scenario())


@pytest.mark.parametrize("by", [-HOUR, HOUR])
def test_suspects_get_their_turn_when_they_have_waited(bench: Bench, by: float) -> None:
    async def scenario() -> None:
        bench.with_settings(window=4, chunk_size=4)
        dying, last = [EchoEngine(), EchoEngine()], HeldEngine()
        for engine in dying:
            engine._dead.set()
        last.let_go()
        script = iter([*dying, last])
        suspects = bench.submit(chat_lines(1, "suspect {}"))
        worker = bench.worker(lambda _spec: next(script))
        await bench.turns(worker, until=lambda: bench.ledger(suspects, "engine_deaths") == [(2,)])
        bench.submit(2000, priority=-1)
        await bench.turns(worker, until=lambda: len(last.asked) > 4)
        began = bench.steady
        bench.now += by
        while not any("suspect" in text for text in last.asked):
            assert bench.steady - began < 2 * OTHERS_SECONDS
            await bench.turn(worker, seconds=10)
        assert bench.steady - began > OTHERS_SECONDS / 2

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
