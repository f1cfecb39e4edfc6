"""A crash is a worker object that is used no more; the next incarnation works on the same files."""

import asyncio
import os

import pytest

from batch_app.answer_index.index import Indexes
from batch_app.disk import failpoints
from batch_app.processing.worker_loop import Worker
from batch_app.states import BatchStatus
from batch_app.store import claims
from tests.lines import chat_line, chat_lines
from tests.worker.conftest import Bench, HeldEngine, custom_ids, run
from tests.worker.disk import zeroed


@pytest.mark.parametrize("turns_before_crash", range(1, 12))
def test_no_line_is_lost_or_doubled_whenever_the_worker_dies(bench: Bench, turns_before_crash: int) -> None:
    async def scenario() -> None:
        bench.with_settings(window=7, chunk_size=10)
        batch_id = bench.submit(50)
        for _ in range(3):
            worker = bench.worker()
            for _ in range(turns_before_crash):
                await bench.turn(worker)
            bench.crash(worker)
        await bench.finish(bench.worker(), batch_id)
        assert sorted(custom_ids(bench.output(batch_id))) == sorted(f"candidate-{i}" for i in range(50))
        assert bench.batch(batch_id).completed_requests == 50

    run(scenario())


def test_at_most_one_window_is_computed_twice(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(window=7, chunk_size=10)
        engines: list[HeldEngine] = []

        def make(_spec: object) -> HeldEngine:
            engine = HeldEngine()
            engine.let_go()
            engines.append(engine)
            return engine

        batch_id = bench.submit(chat_lines(60))
        first = bench.worker(make)
        for _ in range(4):
            await bench.turn(first)
        bench.crash(first)
        await bench.finish(bench.worker(make), batch_id)
        asked = [text for engine in engines for text in engine.asked]
        assert len(asked) - len(set(asked)) <= 7

    run(scenario())


def test_a_worker_that_was_paused_past_its_lease_publishes_nothing(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(window=10)
        batch_id = bench.submit(30)
        late_engine = HeldEngine()
        late = bench.worker(lambda _spec: late_engine)
        await bench.turns(late, until=lambda: len(late_engine.asked) == 10)
        bench.now += bench.settings.lost_seconds + 1
        successor_engine = HeldEngine()
        successor = bench.worker(lambda _spec: successor_engine)
        await bench.turns(successor, until=lambda: len(successor_engine.asked) == 10)

        late_engine.let_go()
        for _ in range(5):
            await bench.turn(late)
        assert not late.runs
        assert [status for (status,) in bench.ledger(batch_id, "status")].count("completed") == 0

        successor_engine.let_go()
        await bench.finish(successor, batch_id)
        assert sorted(custom_ids(bench.output(batch_id))) == sorted(f"candidate-{i}" for i in range(30))

    run(scenario())


def test_a_batch_that_was_being_finalized_is_completed_by_the_next_worker(bench: Bench) -> None:
    async def scenario() -> None:
        batch_id = bench.submit(5)
        worker = bench.worker()
        await bench.turns(worker, until=lambda: bool(worker.runs.arrived))
        [run_] = worker.runs
        await worker.runs.record(bench.now)
        assert claims.begin_finalizing(bench.database, claim=run_.claim, now=bench.now)
        bench.crash(worker)
        await bench.finish(bench.worker(), batch_id)
        assert bench.status(batch_id) is BatchStatus.COMPLETED
        assert len(bench.output(batch_id)) == 5

    run(scenario())


@pytest.mark.parametrize("left", [0, 1000])
def test_answers_that_the_disk_has_lost_are_asked_for_again_even_while_finalizing(
    bench: Bench, left: int
) -> None:
    async def scenario() -> None:
        batch_id = bench.submit(12)
        worker = bench.worker()
        await bench.turns(worker, until=lambda: bool(worker.runs.arrived))
        [run_] = worker.runs
        await worker.runs.record(bench.now)
        assert claims.begin_finalizing(bench.database, claim=run_.claim, now=bench.now)
        indexes = Indexes(bench.database, bench.settings)
        indexes.complete(batch_id)
        bench.crash(worker)
        [log] = (bench.settings.work_dir / batch_id).iterdir()
        os.truncate(log, left)
        await bench.finish(bench.worker(), batch_id)
        assert bench.status(batch_id) is BatchStatus.COMPLETED
        assert sorted(custom_ids(bench.output(batch_id))) == sorted(f"candidate-{i}" for i in range(12))
        indexes.complete(batch_id)
        with indexes.reading(batch_id) as index:
            assert index.execute("SELECT count(*) FROM answers WHERE text <> ''").fetchone()[0] == 12

    run(scenario())


class Killed(BaseException):
    pass


def test_a_worker_killed_while_it_forgets_lost_answers_leaves_no_index_of_them(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die_behind_it(step: str | None, side: str) -> None:
        if (step, side) == ("forget_answers", "committed"):
            raise Killed

    async def scenario() -> None:
        batch_id = bench.submit(12)
        first = bench.worker()
        await bench.turns(first, until=lambda: bool(first.runs.arrived))
        await first.runs.record(bench.now)
        indexes = Indexes(bench.database, bench.settings)
        indexes.complete(batch_id)
        bench.crash(first)
        [log] = (bench.settings.work_dir / batch_id).iterdir()
        os.truncate(log, 1000)
        second = bench.worker()
        with monkeypatch.context() as kill:
            kill.setattr(failpoints, "reach_commit", die_behind_it)
            with pytest.raises(Killed):
                await bench.turns(second, until=lambda: bool(second.runs))
        bench.crash(second)

        kept = sum(status == "completed" for (status,) in bench.ledger(batch_id, "status"))
        assert kept < 12
        indexes.complete(batch_id)
        with indexes.reading(batch_id) as index:
            assert index.execute("SELECT count(*) FROM answers").fetchone()[0] == kept
        await bench.finish(bench.worker(), batch_id)
        indexes.complete(batch_id)
        with indexes.reading(batch_id) as index:
            assert index.execute("SELECT count(*) FROM answers WHERE text <> ''").fetchone()[0] == 12

    run(scenario())


@pytest.mark.parametrize("last_bytes", [100, 100 * 1024])
def test_an_answer_of_any_length_whose_end_the_disk_has_lost_is_asked_for_again(
    bench: Bench, last_bytes: int
) -> None:
    """The log is as long as it was, and its end is zeros."""

    async def scenario() -> None:
        batch_id = bench.submit(
            [*chat_lines(11), chat_line("last", "x" * last_bytes)], line_order="submission"
        )
        worker = bench.worker()
        await bench.turns(worker, until=lambda: bool(worker.runs.arrived))
        await worker.runs.record(bench.now)
        bench.crash(worker)
        [log] = (bench.settings.work_dir / batch_id).iterdir()
        log.write_bytes(zeroed(log.read_bytes()))
        await bench.finish(bench.worker(), batch_id)
        asked_for = [*(f"candidate-{i}" for i in range(11)), "last"]
        assert sorted(custom_ids(bench.output(batch_id))) == sorted(asked_for)

    run(scenario())


def test_of_a_batch_that_lost_a_log_amid_others_all_behind_it_is_asked_for_again(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(window=3, chunk_size=3)
        batch_id = bench.submit(60)
        for _ in range(3):
            worker = bench.worker()
            await bench.turns(worker, until=lambda: any(run_.logs["output"].size for run_ in worker.runs))  # noqa: B023
            bench.crash(worker)
        _first, second, _third = sorted((bench.settings.work_dir / batch_id).iterdir())
        second.unlink()
        await bench.finish(bench.worker(), batch_id)
        assert sorted(custom_ids(bench.output(batch_id))) == sorted(f"candidate-{i}" for i in range(60))

    run(scenario())


async def four_of_twenty_asked(bench: Bench, *, grace_seconds: float) -> tuple[Worker, HeldEngine, str]:
    """A worker whose engine holds four lines back, and the batch they are of."""
    bench.with_settings(window=4, grace_seconds=grace_seconds)
    batch_id = bench.submit(20)
    engine = HeldEngine()
    worker = bench.worker(lambda _spec: engine)
    await bench.turns(worker, until=lambda: len(engine.asked) == 4)
    return worker, engine, batch_id


def test_an_orderly_stop_keeps_what_is_in_flight_and_gives_the_rest_back(bench: Bench) -> None:
    async def scenario() -> None:
        worker, engine, batch_id = await four_of_twenty_asked(bench, grace_seconds=5)
        engine.let_go()
        worker.stop()
        await worker.run_forever()
        statuses = [status for (status,) in bench.ledger(batch_id, "status")]
        assert statuses.count("completed") == 4
        assert statuses.count("pending") == 16
        assert bench.batch(batch_id).worker_id is None

    run(scenario())


def test_an_orderly_stop_does_not_wait_longer_than_its_grace(bench: Bench) -> None:
    async def scenario() -> None:
        worker, _engine, batch_id = await four_of_twenty_asked(bench, grace_seconds=0)
        worker.stop()
        await worker.run_forever()
        assert {status for (status,) in bench.ledger(batch_id, "status")} == {"pending"}

    run(scenario())


def test_an_orderly_stop_keeps_what_came_since_the_last_turn(bench: Bench) -> None:
    async def scenario() -> None:
        worker, engine, batch_id = await four_of_twenty_asked(bench, grace_seconds=0)
        engine.let_go()
        for _ in range(20):
            await asyncio.sleep(0)
        assert worker.runs.arrived == 4
        worker.stop()
        await worker.run_forever()
        statuses = [status for (status,) in bench.ledger(batch_id, "status")]
        assert (statuses.count("completed"), statuses.count("pending")) == (4, 16)

    run(scenario())
