"""Engines that die, hang or must be swapped; disks and databases that refuse; a GPU that is too hot."""

import errno
import os
from types import ModuleType

import pytest
from sqlalchemy.exc import OperationalError

from batch_app.disk.files import AnswerLog, Place
from batch_app.host.gpu import GpuSnapshot
from batch_app.inference.echo_engine import EchoEngine
from batch_app.inference.engine import ModelLoadError
from batch_app.processing.worker_loop import Worker
from batch_app.states import FINAL_BATCH_STATES, BatchStatus
from batch_app.store import claims, files, request_writes
from tests.lines import chat_line, chat_lines
from tests.worker.conftest import Bench, HeldEngine, custom_ids, run


class Lost(EchoEngine):
    async def start(self) -> None:
        raise ModelLoadError("no device found")


def said(worker: Worker) -> str:
    """What the worker last said keeps it from its work."""
    return worker._status(0, 0).report.trouble or ""


def test_a_line_in_a_thousand_that_kills_the_engine_costs_the_others_nothing(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(window=128)
        lines = chat_lines(1000)
        lines[500] = chat_line("poison", "[[kill]]")
        batch_id = bench.submit(lines)
        worker = bench.worker()
        await bench.turns(worker, until=lambda: bench.status(batch_id) is BatchStatus.COMPLETED, most=2000)
        batch = bench.batch(batch_id)
        assert (batch.completed_requests, batch.failed_requests) == (999, 1)
        assert (
            len({line["custom_id"] for line in bench.output(batch_id)}) == len(bench.output(batch_id)) == 999
        )
        [error] = bench.errors(batch_id)
        assert (error["custom_id"], error["error"]["code"]) == ("poison", "engine_crashed")
        with bench.database.read() as connection:
            letters = connection.exec_driver_sql("SELECT custom_id, code FROM dead_letters").all()
        assert [tuple(letter) for letter in letters] == [("poison", "engine_crashed")]
        assert worker.room.restarts <= 3
        assert len(bench.loads) == worker.room.restarts + 1
        attempts = {row for row in bench.ledger(batch_id, "attempts", "status") if row[1] == "completed"}
        assert attempts == {(1, "completed")}

    run(scenario())


def test_many_lines_side_by_side_that_kill_the_engine_cost_the_others_nothing(bench: Bench) -> None:
    """Of the lines that were in flight with them the killers come first, so each dies before an innocent answers."""

    async def scenario() -> None:
        bench.with_settings(window=16)
        lines = [*chat_lines(12), *(chat_line(f"poison-{i}", "[[kill]]") for i in range(9))]
        lines += [chat_line(f"later-{i}", f"later {i}") for i in range(12)]
        batch_id = bench.submit(lines, line_order="submission")
        worker = bench.worker()
        await bench.turns(worker, until=lambda: bench.status(batch_id) in FINAL_BATCH_STATES, most=2000)
        batch = bench.batch(batch_id)
        assert (batch.status, batch.completed_requests) == (BatchStatus.COMPLETED, 24)
        codes = {line["custom_id"]: line["error"]["code"] for line in bench.errors(batch_id)}
        assert codes == {f"poison-{i}": "engine_crashed" for i in range(9)}
        with bench.database.read() as connection:
            letters = connection.exec_driver_sql("SELECT custom_id FROM dead_letters").scalars()
            assert set(letters) == set(codes)

    run(scenario())


@pytest.mark.parametrize(
    ("store", "verb"),
    [(request_writes, "record_outcomes"), (claims, "begin_finalizing"), (claims, "end_batch")],
    ids=["between log and ledger", "before finalizing", "in finalizing"],
)
def test_an_engine_that_dies_there_costs_no_line_of_this_batch_nor_of_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, store: ModuleType, verb: str
) -> None:
    """In finalizing it is idle: its death is noticed by the next lines that it is asked."""

    async def scenario() -> None:
        bench.with_settings(window=5)
        batch_id, real, engines = bench.submit(20), getattr(store, verb), []

        def make(_spec: object) -> EchoEngine:
            engines.append(EchoEngine())
            return engines[-1]

        def die(*arguments: object, **facts: object) -> object:
            engines[0]._dead.set()
            return real(*arguments, **facts)

        monkeypatch.setattr(store, verb, die)
        worker = bench.worker(make)
        await bench.finish(worker, batch_id)
        next_id = bench.submit(chat_lines(20, "Another {}"))
        await bench.finish(worker, next_id)
        for ended in (batch_id, next_id):
            assert sorted(custom_ids(bench.output(ended))) == sorted(f"candidate-{i}" for i in range(20))
            assert set(bench.ledger(ended, "status")) == {("completed",)}
        assert (len(engines), worker.room.restarts) == (2, 1)

    run(scenario())


def test_an_engine_that_produces_nothing_is_replaced_within_two_minutes(bench: Bench) -> None:
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
        hung_at = bench.now
        await bench.turns(worker, until=lambda: worker.room.restarts == 1)
        assert bench.now - hung_at <= 120
        assert "it showed no sign of work for" in said(worker)
        await bench.finish(worker, batch_id)
        assert len(engines) == 2
        assert len(bench.output(batch_id)) == 5

    run(scenario())


def test_a_model_that_dies_at_every_request_fails_its_batches_and_leaves_the_others_alone(
    bench: Bench,
) -> None:
    async def scenario() -> None:
        bench.with_settings(window=4)
        broken, good = bench.submit([chat_line(f"k{i}", "[[kill]]") for i in range(50)], model="b"), None
        worker = bench.worker()
        await bench.turns(worker, until=lambda: bench.status(broken) is BatchStatus.FAILED, most=2000)
        assert bench.loads == ["b"] * 8
        [reason] = bench.batch(broken).errors
        assert reason["code"] == "model_load_failed"
        assert "died 8 times in a row without an answer" in reason["message"]
        good = bench.submit(5, model="a")
        await bench.finish(worker, good)
        assert len(bench.output(good)) == 5

    run(scenario())


def test_a_batch_that_was_in_progress_waits_for_a_machine_that_has_lost_its_device(bench: Bench) -> None:
    """After a power cut the driver may need a while, or a hand; a batch half done must not fail for that."""

    async def scenario() -> None:
        bench.with_settings(window=2)
        begun = bench.submit(20)
        first = bench.worker()
        await bench.turns(first, until=lambda: bench.status(begun) is BatchStatus.IN_PROGRESS)
        bench.crash(first)
        engines = iter([Lost(), Lost(), Lost(), Lost()])
        second = bench.worker(lambda _spec: next(engines, EchoEngine()))
        await bench.turns(second, until=lambda: "no device found" in said(second))
        await bench.finish(second, begun)
        assert len(bench.output(begun)) == 20
        fresh = bench.submit(5, model="never-loaded")
        engines = iter([Lost()])
        await bench.finish(second, fresh)
        assert bench.status(fresh) is BatchStatus.FAILED

    run(scenario())


@pytest.mark.parametrize("restarted", [False, True])
def test_a_model_that_answered_before_another_was_loaded_is_not_given_up_at_the_first_load_that_fails(
    bench: Bench, *, restarted: bool
) -> None:
    """Somebody else's program holds the card for a while. `restarted`: the worker too, and no batch was in progress."""

    async def scenario() -> None:
        lost = 0

        def make(_spec: object) -> EchoEngine:
            nonlocal lost
            lost -= 1
            return Lost() if lost >= 0 else EchoEngine()

        worker = bench.worker(make)
        await bench.finish(worker, bench.submit(5, model="a"))
        await bench.finish(worker, bench.submit(5, model="b"))
        if restarted:
            bench.crash(worker)
            worker = bench.worker(make)
        lost = 4
        queued = [bench.submit(5, model="a"), bench.submit(5, model="a")]
        await bench.finish(worker, *queued)
        assert [bench.status(batch_id) for batch_id in queued] == [BatchStatus.COMPLETED] * 2
        assert bench.loads == ["a", "b", *["a"] * 5]

    run(scenario())


def test_a_database_that_refuses_when_the_engine_dies_leaves_no_line_behind(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        bench.with_settings(window=5)
        lines = [*chat_lines(20), chat_line("poison", "[[kill]]"), *chat_lines(5, "more {}")]
        for number, line in enumerate(lines):
            line["custom_id"] = f"line-{number}"
        batch_id = bench.submit(lines)
        worker = bench.worker()
        real, refusals = request_writes.return_requests, iter([True] * 6)

        def refuse(*arguments: object, **facts: object) -> None:
            if next(refusals, False):
                raise OperationalError("UPDATE requests", {}, Exception("database or disk is full"))
            real(*arguments, **facts)  # type: ignore[arg-type]

        monkeypatch.setattr(request_writes, "return_requests", refuse)
        await bench.turns(worker, until=lambda: worker.runs.trouble is not None)
        assert said(worker).startswith("Answers cannot be saved: database or disk is full.")
        await bench.finish(worker, batch_id)
        assert len(bench.output(batch_id)) == 25
        assert len(bench.errors(batch_id)) == 1
        assert worker.room.restarts <= 3

    run(scenario())


def test_an_engine_that_holds_too_much_memory_is_replaced_between_requests(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(window=4, max_memory_percent=0.001)
        engines: list[HeldEngine] = []

        def make(_spec: object) -> HeldEngine:
            engines.append(HeldEngine())
            return engines[-1]

        batch_id = bench.submit(12)
        worker = bench.worker(make)
        await bench.turns(worker, until=lambda: bool(engines) and len(engines[0].asked) == 4)
        worker._heartbeat.memory_bytes = 2**40
        await bench.turn(worker, seconds=700)
        for _ in range(5):
            await bench.turn(worker)
        assert len(engines[0].asked) == 4, "what is in flight is waited for, nothing more is fed"
        assert "the engine is replaced between requests" in said(worker)
        engines[0].let_go()
        await bench.turns(worker, until=lambda: len(engines) == 2)
        worker._heartbeat.memory_bytes = 0
        engines[1].let_go()
        await bench.finish(worker, batch_id)
        assert set(bench.ledger(batch_id, "status", "attempts", "engine_deaths")) == {("completed", 1, 0)}
        assert len(engines[0].asked) + len(engines[1].asked) == 12
        assert bench.batch(batch_id).claim_epoch == 1
        assert worker.room.restarts == 1

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


def test_engines_that_are_replaced_do_not_prolong_their_model_s_turn(bench: Bench) -> None:
    """Each is replaced for its memory when it is ten minutes old, which is less than a turn."""

    async def scenario() -> None:
        bench.with_settings(window=1, model_turn_seconds=900, max_memory_percent=0.001)
        bench.submit(200, model="a")
        bench.submit(2, model="b")
        worker = bench.worker()
        worker._heartbeat.memory_bytes = 2**40
        await bench.turns(worker, until=lambda: worker.room.engine is not None)
        began = bench.now
        while "b" not in bench.loads and bench.now < began + 3600:
            await bench.turn(worker, seconds=100)
        assert bench.loads == ["a", "a", "b"]
        assert bench.now - began <= 900 + 2 * 100

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
        assert said(worker) == (
            "Answers cannot be saved: No space left on device. They wait in memory; once they can be, "
            "all goes on by itself."
        )
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
        real, failures = request_writes.record_outcomes, iter([True] * 4)

        def refuse(*arguments: object, **facts: object) -> None:
            if next(failures, False):
                raise OperationalError("UPDATE requests", {}, Exception("database is locked"))
            real(*arguments, **facts)  # type: ignore[arg-type]

        monkeypatch.setattr(request_writes, "record_outcomes", refuse)
        await bench.finish(bench.worker(), batch_id)
        assert sorted(custom_ids(bench.output(batch_id))) == sorted(f"candidate-{i}" for i in range(20))

    run(scenario())


def test_a_disk_that_takes_answers_and_refuses_errors_doubles_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        batch_id = bench.submit([*chat_lines(4), chat_line("bad", "[[fail 400]]")])
        real, refusals = AnswerLog.append, iter([True])

        def refuse(log: AnswerLog, lines: list[bytes]) -> list[Place]:
            if log._kind == "error" and next(refusals, False):
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(log, lines)

        monkeypatch.setattr(AnswerLog, "append", refuse)
        await bench.finish(bench.worker(), batch_id)
        assert next(refusals, None) is None
        assert sorted(custom_ids(bench.output(batch_id))) == sorted(f"candidate-{i}" for i in range(4))
        assert custom_ids(bench.errors(batch_id)) == ["bad"]

    run(scenario())


def test_a_batch_that_was_claimed_and_could_neither_be_begun_nor_given_back_is_taken_up_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        batch_id = bench.submit(3)
        worker = bench.worker()

        def refuse(*_arguments: object, **_facts: object) -> None:
            raise OperationalError("SELECT", {}, Exception("disk I/O error"))

        with monkeypatch.context() as patched:
            patched.setattr(files, "get_file", refuse)
            patched.setattr(claims, "release_claim", refuse)
            with pytest.raises(OperationalError):
                await bench.turns(worker, until=lambda: False)
        assert bench.batch(batch_id).worker_id == worker.id
        await bench.finish(worker, batch_id)
        assert len(bench.output(batch_id)) == 3

    run(scenario())


def test_a_disk_that_is_full_while_a_batch_ends_leaves_one_file_and_no_rest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        batch_id = bench.submit(20)
        worker = bench.worker()
        real, refusals = claims.end_batch, iter([True] * 5)

        def refuse(*arguments: object, **facts: object) -> None:
            if next(refusals, False):
                raise OperationalError("UPDATE batches", {}, Exception("database or disk is full"))
            real(*arguments, **facts)  # type: ignore[arg-type]

        monkeypatch.setattr(claims, "end_batch", refuse)
        await bench.turns(worker, until=lambda: worker.runs.trouble is not None)
        await bench.finish(worker, batch_id)
        output = bench.batch(batch_id).output_file_id
        assert len(bench.output(batch_id)) == 20
        published = {path.stem for path in bench.settings.files_dir.iterdir()}
        assert published == {output, bench.batch(batch_id).input_file_id}
        assert list(bench.settings.temp_dir.iterdir()) == []

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
        assert "no request is sent to the engine until it is at 80 °C" in said(worker)
        heartbeat.gpu = GpuSnapshot("card", 0, 1, temperature_c=79)
        await bench.finish(worker, batch_id)

    run(scenario())
