"""The window: filled again before the engine runs dry, bounded in lines and in bytes; and what the engine did in it."""

import asyncio
import threading
from dataclasses import replace

from sqlalchemy import event

from batch_app.inference.echo_engine import EchoEngine
from batch_app.inference.engine import EngineCounters
from batch_app.states import BatchStatus
from batch_app.store import batches
from tests.lines import chat_line, chat_lines
from tests.worker.conftest import Bench, HeldEngine, run


def test_lines_in_flight_are_bounded_by_their_bytes(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(window=100, window_bytes=3_500)
        engine = HeldEngine()
        batch_id = bench.submit(chat_lines(30, "{} " + "x" * 1_000))
        worker = bench.worker(lambda _spec: engine)
        await bench.turns(worker, until=lambda: bool(engine.asked))
        for _ in range(3):
            await bench.turn(worker)
        assert len(engine.asked) == 4  # three fit, and the fourth begins below the bound
        engine.let_go()
        await bench.finish(worker, batch_id)
        assert len(bench.output(batch_id)) == 30

    run(scenario())


def test_a_line_larger_than_the_bound_goes_alone(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(window=100, window_bytes=10)
        engine = HeldEngine()
        batch_id = bench.submit(3)
        worker = bench.worker(lambda _spec: engine)
        await bench.turns(worker, until=lambda: bool(engine.asked))
        await bench.turn(worker)
        assert len(engine.asked) == 1
        engine.let_go()
        await bench.finish(worker, batch_id)

    run(scenario())


def test_what_an_engine_s_death_took_counts_no_longer(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(window=100, window_bytes=300)
        lines = chat_lines(20)
        lines[3] = chat_line("poison", "[[kill]]")
        batch_id = bench.submit(lines)
        worker = bench.worker()
        await bench.finish(worker, batch_id)
        assert len(bench.output(batch_id)) == 19
        assert worker._feeder._bytes == 0

    run(scenario())


def test_the_worker_wakes_when_a_quarter_of_the_window_is_answered(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(window=8)
        engine = HeldEngine()
        bench.submit(chat_lines(20, "text-{:02d}"))
        worker = bench.worker(lambda _spec: engine)
        await bench.turns(worker, until=lambda: len(engine.asked) == 8)
        for text, wakes in (("text-00", False), ("text-01", True)):
            worker._wake.clear()
            engine.let_go(text)
            for _ in range(20):
                await asyncio.sleep(0)
            assert worker._wake.is_set() is wakes

    run(scenario())


class BusyEngine(HeldEngine):
    """Says that it is busy while it holds answers back."""

    said = EngineCounters(requests_running=4, requests_waiting=2, kv_cache_usage=0.5, preemptions=3)

    def counters(self) -> EngineCounters:
        return self.said


def test_a_batch_keeps_what_the_engine_did_for_it(bench: Bench) -> None:
    async def scenario() -> None:
        engine = BusyEngine()
        batch_id = bench.submit(6)
        worker = bench.worker(lambda _spec: engine)
        await bench.turns(worker, until=lambda: len(engine.asked) == 6)
        await bench.turn(worker, seconds=3)
        engine.said = replace(engine.said, preemptions=5)
        await bench.turn(worker, seconds=3)
        engine.said = EngineCounters(requests_running=2, preemptions=5)
        await bench.turn(worker, seconds=2)
        engine.let_go()
        await bench.finish(worker, batch_id)
        use = bench.batch(batch_id).engine_use
        assert use is not None
        assert 7 < use.seconds < 20
        assert 5 < use.full_seconds < use.seconds
        assert use.preemptions == 2
        assert 2 * use.seconds < use.running_seconds < 4 * use.seconds

    run(scenario())


def test_the_report_goes_on_after_a_crash(bench: Bench) -> None:
    async def scenario() -> None:
        batch_id = bench.submit(6)
        first = bench.worker(lambda _spec: BusyEngine())
        await bench.turns(first, until=lambda: first.runs.in_flight == 6)
        await bench.turn(first, seconds=bench.settings.heartbeat_seconds + 5)
        bench.crash(first)
        saved = bench.batch(batch_id).engine_use
        assert saved is not None
        assert saved.seconds >= bench.settings.heartbeat_seconds
        await bench.finish(bench.worker(lambda _spec: EchoEngine()), batch_id)
        use = bench.batch(batch_id).engine_use
        assert bench.status(batch_id) is BatchStatus.COMPLETED
        assert use is not None
        assert use.full_seconds >= saved.full_seconds

    run(scenario())


def test_the_report_of_a_lost_batch_is_not_touched(bench: Bench) -> None:
    async def scenario() -> None:
        batch_id = bench.submit(6)
        late = bench.worker(lambda _spec: BusyEngine())
        await bench.turns(late, until=lambda: late.runs.in_flight == 6)
        bench.now += bench.settings.lost_seconds + 1
        await bench.finish(bench.worker(), batch_id)
        before = batches.get_batch(bench.database, batch_id=batch_id)
        await bench.turn(late, seconds=bench.settings.heartbeat_seconds)
        await bench.turn(late, seconds=bench.settings.heartbeat_seconds)
        assert batches.get_batch(bench.database, batch_id=batch_id) == before

    run(scenario())


def test_batches_of_one_model_are_in_the_engine_together(bench: Bench) -> None:
    async def scenario() -> None:
        engine = HeldEngine()
        small = [bench.submit(3) for _ in range(3)]
        worker = bench.worker(lambda _spec: engine)
        await bench.turns(worker, until=lambda: bool(engine.asked))
        assert len(engine.asked) == 9
        engine.let_go()
        await bench.finish(worker, *small)
        assert bench.loads == ["tiny"]

    run(scenario())


def test_the_next_batch_of_the_loaded_model_is_in_the_engine_after_one_turn(bench: Bench) -> None:
    async def scenario() -> None:
        engine = HeldEngine()
        engine.let_go()
        worker = bench.worker(lambda _spec: engine)
        await bench.finish(worker, bench.submit(3))
        bench.submit(chat_lines(1, "next {}"))
        await bench.turn(worker)
        assert engine.asked[-1] == "next 0"
        assert bench.loads == ["tiny"]

    run(scenario())


def test_the_event_loop_never_waits_for_the_database(bench: Bench) -> None:
    """It belongs to the engine: whatever is read or written is read or written in a thread."""

    async def scenario() -> None:
        texts = ["a", "[[fail 400]]", "[[flaky 1]]", "[[kill]]"]
        lines = [chat_line(f"line-{i}", text) for i, text in enumerate(texts)]
        batch_ids = [bench.submit(lines), bench.submit(2, model="other")]
        batches.request_cancel(bench.database, batch_id=bench.submit(2), now=bench.now)
        worker = bench.worker()
        threads: set[int] = set()
        event.listen(bench.database.engine, "begin", lambda _: threads.add(threading.get_ident()))
        for _ in range(60):
            await bench.turn(worker)
        assert threads
        assert threading.get_ident() not in threads
        assert {bench.status(batch_id) for batch_id in batch_ids} == {BatchStatus.COMPLETED}

    run(scenario())
