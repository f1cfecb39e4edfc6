"""A clock that is set back by an hour (NTP after a start, a hardware clock in local time) costs nobody that hour."""

from collections.abc import Callable

import pytest

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
    return lambda: monkeypatch.setattr("batch_app.processing.recover.is_gone", lambda _worker: True)
