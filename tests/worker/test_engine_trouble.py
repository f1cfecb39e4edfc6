"""Engines that die, hang or must be swapped; disks and databases that refuse; a GPU that is too hot."""

import errno
import os

import pytest
from sqlalchemy.exc import OperationalError

from batch_app.gpu import GpuSnapshot
from batch_app.states import BatchStatus
from batch_app.store import requests
from tests.lines import chat_line, chat_lines
from tests.worker.conftest import Bench, HeldEngine, custom_ids, run


def test_a_line_that_kills_the_engine_becomes_a_dead_letter_and_costs_the_others_no_attempt(
    bench: Bench,
) -> None:
    async def scenario() -> None:
        bench.with_settings(window=20)
        lines = chat_lines(100)
        lines[50] = chat_line("poison", "[[kill]]")
        batch_id = bench.submit(lines)
        await bench.finish(bench.worker(), batch_id)
        assert bench.status(batch_id) is BatchStatus.COMPLETED
        assert len(bench.output(batch_id)) == 99
        [error] = bench.errors(batch_id)
        assert error["custom_id"] == "poison"
        assert error["error"]["code"] == "engine_crashed"
        assert len(bench.loads) <= 4  # the first, and one after each of at most three deaths
        assert {attempts for status, attempts in bench.ledger(batch_id, "status", "attempts")[:50]} == {1}

    run(scenario())


def test_an_engine_that_produces_nothing_is_replaced(bench: Bench) -> None:
    async def scenario() -> None:
        engines: list[HeldEngine] = []

        def make(_spec: object) -> HeldEngine:
            engines.append(HeldEngine())
            if len(engines) > 1:
                engines[-1].let_go()
            return engines[-1]

        batch_id = bench.submit(5)
        worker = bench.worker(make)
        await bench.turns(worker, until=lambda: len(engines) == 1 and len(engines[0].asked) == 5)
        await bench.turn(worker)
        bench.now += bench.settings.engine_stall_seconds + 5
        await bench.finish(worker, batch_id)
        assert len(engines) == 2
        assert len(bench.output(batch_id)) == 5

    run(scenario())


def test_the_loaded_model_finishes_its_work_before_another_is_swapped_in(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(window=5)
        first, other, second = (
            bench.submit(30, model="a"),
            bench.submit(5, model="b"),
            bench.submit(30, model="a"),
        )
        await bench.finish(bench.worker(), first, other, second)
        assert bench.loads == ["a", "b"]

    run(scenario())


def test_a_loaded_model_does_not_keep_others_waiting_longer_than_its_turn(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(window=1, model_turn_seconds=10)
        long, short = bench.submit(100, model="a"), bench.submit(2, model="b")
        worker = bench.worker()
        await bench.finish(worker, short)
        assert bench.status(long) is BatchStatus.IN_PROGRESS
        await bench.finish(worker, long)
        assert bench.loads[:3] == ["a", "b", "a"]
        assert sorted(custom_ids(bench.output(long))) == sorted(f"candidate-{i}" for i in range(100))

    run(scenario())


def test_a_full_disk_pauses_recording_and_nothing_is_lost_or_doubled(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        bench.with_settings(window=5)
        batch_id = bench.submit([*chat_lines(20), chat_line("bad", "[[fail 400]]")])
        worker = bench.worker()
        real, failures = os.fdatasync, iter([True] * 7)

        def full(descriptor: int) -> None:
            if next(failures, False):
                raise OSError(errno.ENOSPC, "No space left on device")
            real(descriptor)

        monkeypatch.setattr(os, "fdatasync", full)
        await bench.turns(worker, until=lambda: worker.runs.trouble is not None)
        assert "No space left" in (worker.runs.trouble or "")
        await bench.finish(worker, batch_id)
        assert sorted(custom_ids(bench.output(batch_id))) == sorted(f"candidate-{i}" for i in range(20))
        assert custom_ids(bench.errors(batch_id)) == ["bad"]

    run(scenario())


def test_a_database_that_refuses_for_a_while_delays_answers_and_doubles_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        bench.with_settings(window=5)
        batch_id = bench.submit(20)
        real, failures = requests.record, iter([True] * 4)

        def refuse(*arguments: object, **facts: object) -> None:
            if next(failures, False):
                raise OperationalError("UPDATE requests", {}, Exception("database is locked"))
            real(*arguments, **facts)  # type: ignore[arg-type]

        monkeypatch.setattr(requests, "record", refuse)
        await bench.finish(bench.worker(), batch_id)
        assert sorted(custom_ids(bench.output(batch_id))) == sorted(f"candidate-{i}" for i in range(20))

    run(scenario())


def test_feeding_pauses_while_the_gpu_is_too_hot_and_resumes_when_it_has_cooled(bench: Bench) -> None:
    async def scenario() -> None:
        batch_id = bench.submit(5)
        worker = bench.worker()
        heartbeat = worker._heartbeat
        heartbeat.gpu = GpuSnapshot("card", 0, 1, temperature_c=86)
        for _ in range(5):
            await bench.turn(worker)
        heartbeat.gpu = GpuSnapshot("card", 0, 1, temperature_c=82)
        for _ in range(5):
            await bench.turn(worker)
        assert worker.runs.held == 0
        assert {status for (status,) in bench.ledger(batch_id, "status")} == {"pending"}
        heartbeat.gpu = GpuSnapshot("card", 0, 1, temperature_c=79)
        await bench.finish(worker, batch_id)

    run(scenario())
