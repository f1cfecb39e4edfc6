"""Cancelled, expired, and without a model: finished lines are kept, every other line gets an end."""

import asyncio
import errno
import os

import pytest

from batch_app.inference.echo_engine import EchoEngine
from batch_app.inference.engine import Engine, ModelLoadError
from batch_app.models import Models, ModelSpec
from batch_app.states import BatchStatus
from batch_app.store import batches
from tests.lines import chat_line
from tests.worker.conftest import Bench, HeldEngine, custom_ids, run

DAY = 24 * 3600


class UnloadableEngine(EchoEngine):
    async def start(self) -> None:
        raise ModelLoadError("the card has 4 GB and the model needs 8")


class NeverReadyEngine(EchoEngine):
    async def start(self) -> None:
        await asyncio.Event().wait()


def full(*_call: object, **_options: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_cancelling_keeps_finished_lines_and_ends_the_others(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(window=4)
        engine = HeldEngine()
        engine.let_go("first")
        batch_id = bench.submit(
            [chat_line("a", "first"), *(chat_line(f"b{i}", f"later {i}") for i in range(9))]
        )
        worker = bench.worker(lambda _spec: engine)
        await bench.turns(worker, until=lambda: bench.ledger(batch_id, "status")[0] == ("completed",))
        fed = len(engine.asked)
        batches.request_cancel(bench.database, batch_id=batch_id, now=bench.now)
        await bench.turn(worker)
        assert len(engine.asked) == fed
        assert bench.status(batch_id) is BatchStatus.CANCELLED
        assert custom_ids(bench.output(batch_id)) == ["a"]
        assert [line["error"]["code"] for line in bench.errors(batch_id)] == ["batch_cancelled"] * 9
        assert bench.batch(batch_id).cancelled_requests == 9

    run(scenario())


def test_a_batch_that_never_started_can_be_cancelled_while_another_model_loads(bench: Bench) -> None:
    async def scenario() -> None:
        bench.submit(3, model="slow-to-load")
        worker = bench.worker(lambda _spec: NeverReadyEngine())
        await bench.turn(worker)
        waiting = bench.submit(3, model="other")
        batches.request_cancel(bench.database, batch_id=waiting, now=bench.now)
        await bench.turn(worker)
        assert bench.status(waiting) is BatchStatus.CANCELLED
        worker.stop()
        await worker.run_forever()

    run(scenario())


def test_an_expired_batch_keeps_its_answers_and_says_batch_expired_for_the_rest(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(window=2)
        engine = HeldEngine()
        engine.let_go("first")
        lines = [chat_line("a", "first"), chat_line("b", "later"), chat_line("c", "later still")]
        batch_id = bench.submit(lines, completion_window="24h")
        worker = bench.worker(lambda _spec: engine)
        await bench.turns(worker, until=lambda: bench.ledger(batch_id, "status")[0] == ("completed",))
        bench.now += 24 * 3600
        await bench.turn(worker)
        assert bench.status(batch_id) is BatchStatus.EXPIRED
        assert custom_ids(bench.output(batch_id)) == ["a"]
        assert {line["error"]["code"] for line in bench.errors(batch_id)} == {"batch_expired"}

    run(scenario())


def test_a_batch_that_expires_before_anybody_claims_it_is_expired_without_having_started(
    bench: Bench,
) -> None:
    async def scenario() -> None:
        batch_id = bench.submit(2, completion_window="24h")
        bench.now += 24 * 3600 + 1
        await bench.turn(bench.worker())
        batch = bench.batch(batch_id)
        assert batch.status is BatchStatus.EXPIRED
        assert batch.in_progress_at is None
        assert bench.loads == []

    run(scenario())


def test_a_model_that_cannot_load_fails_its_batches_with_the_reason_and_not_the_worker(bench: Bench) -> None:
    async def scenario() -> None:
        def make(spec: ModelSpec) -> Engine:
            return UnloadableEngine() if spec.name == "too-big" else EchoEngine()

        failing = [bench.submit(2, model="too-big"), bench.submit(2, model="too-big")]
        good = bench.submit(2, model="tiny")
        await bench.finish(bench.worker(make), *failing, good)
        for batch_id in failing:
            batch = bench.batch(batch_id)
            assert batch.status is BatchStatus.FAILED
            assert batch.errors is not None
            assert batch.errors[0]["code"] == "model_load_failed"
            assert "needs 8" in batch.errors[0]["message"]
            assert len(bench.errors(batch_id)) == 2
        assert bench.status(good) is BatchStatus.COMPLETED

    run(scenario())


def test_a_model_that_became_another_name_of_one_fails_its_batches_and_is_not_loaded_for_ever(
    bench: Bench,
) -> None:
    async def scenario() -> None:
        batch_id = bench.submit(2, model="old")
        worker = bench.worker()
        worker._models = Models([ModelSpec("new", "new", aliases=("old",))], allow_unlisted=False)
        await bench.finish(worker, batch_id)
        [reason] = bench.batch(batch_id).errors or []
        assert reason["message"] == "The model 'old' is no longer in the models file."
        assert bench.loads == []

    run(scenario())


def test_an_end_that_fails_does_not_begin_a_batch(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """In progress it would count as one whose model was loaded once, and its load be tried again for half an hour."""

    async def scenario() -> None:
        unloadable = bench.submit(2, model="too-big")
        worker = bench.worker(lambda _spec: UnloadableEngine())
        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", full)
            await bench.turns(worker, until=lambda: len(bench.loads) == 2)
        began = bench.now
        await bench.finish(worker, unloadable)
        assert (bench.status(unloadable), bench.batch(unloadable).in_progress_at) == (
            BatchStatus.FAILED,
            None,
        )
        assert bench.now - began < 60

    run(scenario())


def test_a_batch_that_could_not_be_expired_before_the_clock_was_set_right_is_worked_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        worker = bench.worker()
        await bench.finish(worker, bench.submit(1))  # to load another model it would give back what it has
        batch_id = bench.submit(2, completion_window="24h")
        bench.now += 2 * DAY
        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", full)
            await bench.turns(worker, until=lambda: worker.runs.trouble is not None)
        bench.now -= 2 * DAY
        await bench.finish(worker, batch_id)
        assert bench.status(batch_id) is BatchStatus.COMPLETED

    run(scenario())


def test_a_disk_that_refuses_the_files_of_an_expired_batch_does_not_complete_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every line has an end by then, though none was answered."""

    async def scenario() -> None:
        batch_id = bench.submit(2, completion_window="24h")
        worker = bench.worker(lambda _spec: HeldEngine())
        await bench.turns(worker, until=lambda: bench.status(batch_id) is BatchStatus.IN_PROGRESS)
        bench.now += DAY
        with monkeypatch.context() as patched:
            patched.setattr("batch_app.processing.batch_completion.publish_stream", full)
            for _ in range(5):
                await bench.turn(worker)
            assert worker.runs.trouble is not None
        await bench.finish(worker, batch_id)
        assert bench.status(batch_id) is BatchStatus.EXPIRED

    run(scenario())


def test_a_model_that_failed_to_load_is_tried_again_for_a_new_batch(bench: Bench) -> None:
    async def scenario() -> None:
        is_repaired = False

        def make(_spec: ModelSpec) -> Engine:
            return EchoEngine() if is_repaired else UnloadableEngine()

        worker = bench.worker(make)
        broken = bench.submit(2)
        await bench.finish(worker, broken)
        is_repaired = True
        repaired = bench.submit(2)
        await bench.finish(worker, repaired)
        assert bench.status(repaired) is BatchStatus.COMPLETED

    run(scenario())
