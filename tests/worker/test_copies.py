"""Requests that must get the same answer are computed once; each line gets its own answer line all the same."""

import errno
import os
from typing import Any

import pytest

from batch_app.processing import answer_recorder
from batch_app.states import BatchStatus
from batch_app.store import batches
from tests.lines import chat_line
from tests.worker.conftest import Bench, HeldEngine, custom_ids, run


def same(custom_id: str, text: str = "the same", **body: Any) -> dict[str, Any]:
    return chat_line(custom_id, text, temperature=0, **body)


def half_copies(count: int) -> list[dict[str, Any]]:
    return [same(f"line-{i}", f"text {i // 2}") for i in range(count)]


def open_engines() -> tuple[list[HeldEngine], Any]:
    engines: list[HeldEngine] = []

    def make(_spec: object) -> HeldEngine:
        engines.append(HeldEngine())
        engines[-1].let_go()
        return engines[-1]

    return engines, make


def test_the_engine_is_asked_once_and_every_line_has_its_answer(bench: Bench) -> None:
    async def scenario() -> None:
        engines, make = open_engines()
        batch_id = bench.submit([same("a"), chat_line("b", "other"), same("c"), same("d")], deduplicate=True)
        await bench.finish(bench.worker(make), batch_id)
        assert sorted(engines[0].asked) == ["other", "the same"]
        output = {line["custom_id"]: line for line in bench.output(batch_id)}
        assert {name: line.get("deduplicated_from") for name, line in output.items()} == {
            "a": None, "b": None, "c": "a", "d": "a",
        }  # fmt: skip
        assert output["c"]["response"] == output["a"]["response"]
        assert len({line["id"] for line in output.values()}) == 4
        batch = bench.batch(batch_id)
        assert (batch.completed_requests, batch.deduplicated_requests) == (4, 2)

    run(scenario())


def test_tokens_are_counted_where_they_were_computed(bench: Bench) -> None:
    async def scenario() -> None:
        batch_id = bench.submit([same("a"), same("b"), same("c")], deduplicate=True)
        await bench.finish(bench.worker(), batch_id)
        assert bench.batch(batch_id).output_tokens == 2
        assert bench.ledger(batch_id, "output_tokens", "attempts") == [(2, 1), (0, 0), (0, 0)]

    run(scenario())


def test_nothing_is_shared_unless_the_batch_asks_for_it(bench: Bench) -> None:
    async def scenario() -> None:
        engines, make = open_engines()
        batch_id = bench.submit([same("a"), same("b")])
        await bench.finish(bench.worker(make), batch_id)
        assert len(engines[0].asked) == 2

    run(scenario())


def test_requests_left_to_chance_are_each_computed(bench: Bench) -> None:
    async def scenario() -> None:
        engines, make = open_engines()
        batch_id = bench.submit([chat_line("a", "t"), chat_line("b", "t")], deduplicate=True)
        await bench.finish(bench.worker(make), batch_id)
        assert len(engines[0].asked) == 2

    run(scenario())


def test_copies_of_a_refused_request_are_refused_alike(bench: Bench) -> None:
    async def scenario() -> None:
        batch_id = bench.submit(
            [same("a", "[[fail 400]]"), same("b", "[[fail 400]]"), same("c")], deduplicate=True
        )
        await bench.finish(bench.worker(), batch_id)
        assert bench.status(batch_id) is BatchStatus.COMPLETED
        assert sorted(custom_ids(bench.errors(batch_id))) == ["a", "b"]
        with bench.database.read() as connection:
            letters = connection.exec_driver_sql("SELECT custom_id, message FROM dead_letters").all()
        assert len(letters) == 2
        assert len({letter.message for letter in letters}) == 1

    run(scenario())


def test_copies_of_a_request_that_kills_the_engine_do_not_kill_it_again(bench: Bench) -> None:
    async def scenario() -> None:
        lines = [same(f"poison-{i}", "[[kill]]") for i in range(20)]
        batch_id = bench.submit([*lines, same("good")], deduplicate=True)
        await bench.finish(bench.worker(), batch_id)
        assert custom_ids(bench.output(batch_id)) == ["good"]
        assert {line["error"]["code"] for line in bench.errors(batch_id)} == {"engine_crashed"}
        assert len(bench.errors(batch_id)) == 20
        assert len(bench.loads) <= 4

    run(scenario())


def test_a_cancelled_batch_ends_its_copies_too(bench: Bench) -> None:
    async def scenario() -> None:
        batch_id = bench.submit([same("a"), same("b")], deduplicate=True)
        engine = HeldEngine()
        worker = bench.worker(lambda _spec: engine)
        await bench.turns(worker, until=lambda: len(engine.asked) == 1)
        batches.request_cancel(bench.database, batch_id=batch_id, now=bench.now)
        await bench.finish(worker, batch_id)
        assert {line["error"]["code"] for line in bench.errors(batch_id)} == {"batch_cancelled"}
        assert bench.batch(batch_id).deduplicated_requests == 0

    run(scenario())


@pytest.mark.parametrize("turns_before_crash", range(1, 8))
def test_no_line_is_lost_or_doubled_whenever_the_worker_dies(bench: Bench, turns_before_crash: int) -> None:
    async def scenario() -> None:
        bench.with_settings(window=7, chunk_size=10)
        batch_id = bench.submit(half_copies(60), deduplicate=True)
        for _ in range(3):
            worker = bench.worker()
            for _ in range(turns_before_crash):
                await bench.turn(worker)
            bench.crash(worker)
        await bench.finish(bench.worker(), batch_id)
        assert sorted(custom_ids(bench.output(batch_id))) == sorted(f"line-{i}" for i in range(60))

    run(scenario())


@pytest.mark.parametrize("syncs_before_crash", range(8))
def test_so_it_is_when_it_dies_between_the_copies_of_one_line(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, syncs_before_crash: int
) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(answer_recorder, "_COPIED_BYTES", 900)  # three at once
        batch_id = bench.submit([same(f"line-{i}") for i in range(20)], deduplicate=True)
        worker = bench.worker()
        real, left = os.fdatasync, iter(range(syncs_before_crash))

        def fail(descriptor: int) -> None:
            if next(left, None) is None:
                raise OSError(errno.EIO, "gone")
            real(descriptor)

        with monkeypatch.context() as failing:
            failing.setattr(os, "fdatasync", fail)
            for _ in range(6):
                await bench.turn(worker)
        bench.crash(worker)
        assert _completed(bench, batch_id) < 20
        await bench.finish(bench.worker(), batch_id)
        assert sorted(custom_ids(bench.output(batch_id))) == sorted(f"line-{i}" for i in range(20))

    run(scenario())


def test_a_disk_that_is_full_for_a_while_costs_no_copy_its_answer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(answer_recorder, "_COPIED_BYTES", 900)
        batch_id = bench.submit([same(f"line-{i}") for i in range(20)], deduplicate=True)
        real, refusals = os.fdatasync, iter([False, False, True, False, True, True])

        def full(descriptor: int) -> None:
            if next(refusals, False):
                raise OSError(errno.ENOSPC, "No space left on device")
            real(descriptor)

        monkeypatch.setattr(os, "fdatasync", full)
        await bench.finish(bench.worker(), batch_id)
        assert sorted(custom_ids(bench.output(batch_id))) == sorted(f"line-{i}" for i in range(20))

    run(scenario())


def test_answers_that_the_disk_has_lost_are_found_again_for_copies_too(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(window=4)
        lines = [same(f"line-{i}", f"text {i % 8}") for i in range(40)]
        batch_id = bench.submit(lines, deduplicate=True)
        worker = bench.worker()
        await bench.turns(worker, until=lambda: 20 <= _completed(bench, batch_id) < 40)
        bench.crash(worker)
        [log] = (bench.settings.work_dir / batch_id).glob("output-*")
        os.truncate(log, log.stat().st_size // 2)
        await bench.finish(bench.worker(), batch_id)
        assert sorted(custom_ids(bench.output(batch_id))) == sorted(f"line-{i}" for i in range(40))

    run(scenario())


def _completed(bench: Bench, batch_id: str) -> int:
    return sum(status == "completed" for (status,) in bench.ledger(batch_id, "status"))


@pytest.mark.parametrize("left", range(0, 4000, 500))
def test_a_disk_that_lost_the_end_of_the_log_strands_no_copy(bench: Bench, left: int) -> None:
    async def scenario() -> None:
        bench.with_settings(window=3, chunk_size=4)
        batch_id = bench.submit(half_copies(20), deduplicate=True)
        worker = bench.worker()
        log = bench.settings.work_dir / batch_id / "output-000001-0.jsonl"
        await bench.turns(worker, until=lambda: log.exists() and log.stat().st_size > 4000)
        bench.crash(worker)
        os.truncate(log, left)
        await bench.finish(bench.worker(), batch_id)
        assert sorted(custom_ids(bench.output(batch_id))) == sorted(f"line-{i}" for i in range(20))

    run(scenario())
