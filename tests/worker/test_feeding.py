"""What is sent to the engine, and what is not: lines of its own model, while they are wanted and it lives."""

import asyncio
import os
from types import ModuleType

import pytest
from sqlalchemy.exc import OperationalError

from batch_app.inference.echo_engine import EchoEngine
from batch_app.models import ModelSpec
from batch_app.states import BatchStatus
from batch_app.store import batches, claims, request_writes
from batch_app.store.batches import Batch
from tests.lines import chat_line, chat_lines
from tests.worker.conftest import Bench, HeldEngine, custom_ids, run

DAY = 24 * 3600
FOR_A, FOR_B = "Candidate {} for a", "Candidate {} for b"


class HeldEngines:
    """Makes them, and keeps the latest of each model."""

    def __init__(self) -> None:
        self._of: dict[str, HeldEngine] = {}

    def __call__(self, spec: ModelSpec) -> HeldEngine:
        self._of[spec.name] = HeldEngine()
        return self._of[spec.name]

    def asked(self, model: str) -> list[str]:
        return self._of[model].asked if model in self._of else []

    def let_go(self, model: str) -> None:
        self._of[model].let_go()


def refuse(monkeypatch: pytest.MonkeyPatch, store: ModuleType, verb: str, *, times: int) -> None:
    """The database is busy for so many calls."""
    real, refusals = getattr(store, verb), iter([True] * times)

    def refused(*arguments: object, **facts: object) -> object:
        if next(refusals, False):
            raise OperationalError("UPDATE requests", {}, Exception("database is locked"))
        return real(*arguments, **facts)

    monkeypatch.setattr(store, verb, refused)


def test_an_expired_batch_whose_end_is_refused_is_not_sent_to_the_model_that_is_loaded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        engines = HeldEngines()
        late = bench.submit(chat_lines(5, FOR_B), model="b", completion_window="24h")
        first = bench.worker(engines)
        await bench.turns(first, until=lambda: len(engines.asked("b")) == 5)
        bench.crash(first)
        other = bench.submit(chat_lines(5, FOR_A), model="a", priority=1)
        second = bench.worker(engines)
        await bench.turns(second, until=lambda: len(engines.asked("a")) == 5)
        bench.now += DAY
        refuse(monkeypatch, request_writes, "return_running_requests", times=1)
        await bench.turn(second)
        assert second.runs.trouble is not None
        await bench.turn(second)
        engines.let_go("a")
        await bench.finish(second, late, other)
        assert not [text for text in engines.asked("a") if text.endswith("for b")]
        assert (bench.status(late), bench.output(late)) == (BatchStatus.EXPIRED, [])
        assert len(bench.output(other)) == 5

    run(scenario())


def test_a_batch_that_lost_its_answers_is_sent_to_no_model_but_its_own(bench: Bench) -> None:
    """It was being finalized when its worker was lost, and is in progress again while another model is loaded."""

    async def scenario() -> None:
        engines = HeldEngines()
        damaged = bench.submit(chat_lines(5, FOR_B), model="b")
        first = bench.worker()
        await bench.turns(first, until=lambda: bool(first.runs.arrived))
        [run_] = first.runs
        await first.runs.record(bench.now)
        assert claims.begin_finalizing(bench.database, claim=run_.claim, now=bench.now)
        other = bench.submit(chat_lines(5, FOR_A), model="a")
        second = bench.worker(engines)
        await bench.turns(second, until=lambda: len(engines.asked("a")) == 5)
        bench.crash(first)
        [log] = (bench.settings.work_dir / damaged).iterdir()
        os.truncate(log, 0)
        for _ in range(3):
            await bench.turn(second)
        assert bench.status(damaged) is BatchStatus.IN_PROGRESS
        assert not [text for text in engines.asked("a") if text.endswith("for b")]
        engines.let_go("a")
        await bench.turns(second, until=lambda: len(engines.asked("b")) == 5)
        engines.let_go("b")
        await bench.finish(second, damaged, other)
        assert {line["response"]["body"]["model"] for line in bench.output(damaged)} == {"b"}
        assert sorted(custom_ids(bench.output(damaged))) == [f"candidate-{i}" for i in range(5)]

    run(scenario())


def test_an_expired_batch_whose_end_is_refused_gets_no_line_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        bench.with_settings(window=2)
        engine = HeldEngine()
        batch_id = bench.submit(10, completion_window="24h")
        worker = bench.worker(lambda _spec: engine)
        await bench.turns(worker, until=lambda: len(engine.asked) == 2)
        bench.now += DAY
        refuse(monkeypatch, request_writes, "fetch_unanswered", times=3)
        await bench.finish(worker, batch_id)
        assert bench.status(batch_id) is BatchStatus.EXPIRED
        assert len(engine.asked) == 2

    run(scenario())


def test_a_suspect_that_is_refused_waits_for_its_next_attempt_like_any_other_line(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(retry_backoff_seconds=60)
        dying, last = [EchoEngine(), EchoEngine()], HeldEngine()
        for engine in dying:
            engine._dead.set()
        last.let_go()
        engines = iter([*dying, last])
        batch_id = bench.submit([chat_line("unlucky", "[[flaky 1]]")])
        worker = bench.worker(lambda _spec: next(engines))
        await bench.turns(worker, until=lambda: len(last.asked) == 1)
        began = bench.now
        await bench.finish(worker, batch_id)
        assert len(last.asked) == 2
        assert bench.now - began >= 60
        assert bench.ledger(batch_id, "status", "attempts", "engine_deaths") == [("completed", 2, 2)]

    run(scenario())


def test_an_engine_that_dies_in_the_middle_of_a_turn_is_sent_nothing_more_in_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        bench.with_settings(window=4)
        engines, loop = [HeldEngine(), HeldEngine()], asyncio.get_running_loop()
        made = iter(engines)
        batch_id = bench.submit(chat_lines(20, "text-{:02d}"))
        worker = bench.worker(lambda _spec: next(made))
        await bench.turns(worker, until=lambda: len(engines[0].asked) == 4)
        engines[0].let_go("text-00")
        for _ in range(20):
            await asyncio.sleep(0)
        assert worker.runs.arrived == 1, "so there is room in the window"
        real = batches.list_open_batches

        def look_while_it_dies(*arguments: object, **facts: object) -> list[Batch]:
            engines[0]._dead.set()
            loop.call_soon_threadsafe(engines[0].let_go)
            return real(*arguments, **facts)  # type: ignore[arg-type]

        with monkeypatch.context() as patched:
            patched.setattr(batches, "list_open_batches", look_while_it_dies)
            await bench.turn(worker)
        assert len(engines[0].asked) == 4
        engines[1].let_go()
        await bench.finish(worker, batch_id)
        assert bench.ledger(batch_id, "engine_deaths") == [(0,)] + [(1,)] * 3 + [(0,)] * 16

    run(scenario())
