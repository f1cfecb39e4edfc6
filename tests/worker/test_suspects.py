"""Lines that were in flight at two deaths of the engine run alone, and wait for that no longer than they must."""

import asyncio
from collections import deque
from collections.abc import Callable

from batch_app.inference.echo_engine import EchoEngine
from batch_app.inference.engine import EngineAnswer, EngineRequest
from batch_app.processing.scheduling import ALONE_SECONDS, OTHERS_SECONDS
from batch_app.processing.worker_loop import Worker
from batch_app.states import BatchStatus
from tests.lines import chat_line, chat_lines
from tests.worker.conftest import Bench, HeldEngine, custom_ids, run

WINDOW = 8
TURN_SECONDS = 10.0


class OverlappingEngine(EchoEngine):
    """Half of its answers take one turn and half take two: its window never empties by itself."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = 0
        self._gates = deque([asyncio.Event(), asyncio.Event()])

    def let_go(self) -> None:
        self._gates.popleft().set()
        self._gates.append(asyncio.Event())

    async def answer(self, request: EngineRequest) -> EngineAnswer:
        self._asked += 1
        await self._gates[self._asked % 2].wait()
        return await super().answer(request)


class Floor:
    """A worker, and the engine that it has."""

    def __init__(self, bench: Bench) -> None:
        bench.with_settings(window=WINDOW, chunk_size=WINDOW)
        self._bench, self._engine = bench, OverlappingEngine()
        self._worker: Worker = bench.worker(self._make)

    def _make(self, _spec: object) -> OverlappingEngine:
        self._engine = OverlappingEngine()
        return self._engine

    async def turns(self, *, until: Callable[[], bool], most: int = 200) -> int:
        """How many it took."""
        for number in range(most):
            if until():
                return number
            self._engine.let_go()
            for _ in range(20):
                await asyncio.sleep(0)
            await self._bench.turn(self._worker, seconds=TURN_SECONDS)
        raise AssertionError(f"not so after {most} turns")


def with_a_killer(innocent: int) -> list[object]:
    return [chat_line("killer", "[[kill]]"), *chat_lines(innocent)]


def answered(bench: Bench, batch_id: str) -> int:
    return sum(status == "completed" for (status,) in bench.ledger(batch_id, "status"))


def test_a_batch_with_suspects_ends_in_time_beside_one_that_keeps_the_engine_busy(bench: Bench) -> None:
    async def scenario() -> None:
        small = bench.submit(with_a_killer(39), priority=100, line_order="submission")
        large = bench.submit(1500, priority=-100)
        floor = Floor(bench)
        longest = 3 * (OTHERS_SECONDS + 2 * ALONE_SECONDS)  # seven suspects at most, three in each turn
        turns = await floor.turns(
            until=lambda: bench.status(small) is BatchStatus.COMPLETED, most=int(longest / TURN_SECONDS)
        )
        assert len(bench.output(small)) == 39
        assert custom_ids(bench.errors(small)) == ["killer"]
        assert set(bench.ledger(large, "engine_deaths")) == {(0,)}, "the killer was alone"
        done = answered(bench, large)
        assert done > turns * WINDOW / 3, "it had most of the engine all the while"
        await floor.turns(until=lambda: answered(bench, large) > done)

    run(scenario())


def test_suspects_wait_for_a_batch_of_higher_priority(bench: Bench) -> None:
    async def scenario() -> None:
        low = bench.submit(with_a_killer(WINDOW - 1), line_order="submission")
        floor = Floor(bench)
        await floor.turns(until=lambda: (2,) in bench.ledger(low, "engine_deaths"))
        before = answered(bench, low)
        high, began = bench.submit(300, priority=1), bench.now
        await floor.turns(until=lambda: bench.status(high) is BatchStatus.COMPLETED)
        assert bench.now - began > OTHERS_SECONDS + ALONE_SECONDS
        assert answered(bench, low) == before
        await floor.turns(until=lambda: bench.status(low) is BatchStatus.COMPLETED)
        assert (len(bench.output(low)), custom_ids(bench.errors(low))) == (WINDOW - 1, ["killer"])

    run(scenario())


def test_in_their_turn_one_suspect_follows_the_other_at_once(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(window=WINDOW)
        dying, last = [EchoEngine(), EchoEngine()], HeldEngine()
        for engine in dying:
            engine._dead.set()
        last.let_go()
        engines = iter([*dying, last])
        suspects = bench.submit(chat_lines(4, "suspect {}"))
        worker = bench.worker(lambda _spec: next(engines))
        await bench.turns(worker, until=lambda: set(bench.ledger(suspects, "engine_deaths")) == {(2,)})
        began = bench.now
        bench.submit(500, priority=-1)
        while not any("suspect" in text for text in last.asked):
            assert bench.now - began < 2 * OTHERS_SECONDS
            await bench.turn(worker, seconds=30)
        for _ in range(3):
            await bench.turn(worker, seconds=0.01)
        assert last.asked[-4:] == [f"suspect {i}" for i in range(4)]
        assert len(last.asked) > 50

    run(scenario())
