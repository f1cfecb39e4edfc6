"""A real engine that is stopped, and killed, by itself and under a worker, whose batch is answered all the same."""

import asyncio
import signal
import time

import pytest

from batch_app.database import Database
from batch_app.inference.engine import EngineAnswer, EngineCounters, EngineDeadError, EngineRequest
from batch_app.inference.engine_processes import owned
from batch_app.inference.vllm_engine import VllmEngine
from batch_app.models import ModelSpec
from batch_app.settings import Settings
from batch_app.states import BatchStatus
from tests.lines import chat_line
from tests.vllm.conftest import CLOSED_WITHIN, OWNER, Driver, spec, strike, until
from tests.worker.conftest import Bench, custom_ids

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(900),  # two loads, of 25 s each on a quiet machine
    pytest.mark.filterwarnings("ignore"),
]

POISON = "[[kill]]"
STALL = 10.0


class Fragile:
    """The real engine, whose real process gets a signal while it works on a poisonous request."""

    def __init__(self, loaded: VllmEngine | None, number: signal.Signals) -> None:
        self._is_loaded = loaded is not None
        self.engine = loaded or VllmEngine(spec(), owner=OWNER)
        self._number = number
        self.struck_at = self.closed_at = self.closed_in_seconds = 0.0

    @property
    def max_in_flight(self) -> int:
        return self.engine.max_in_flight

    async def start(self) -> None:
        if not self._is_loaded:
            await self.engine.start()

    async def answer(self, request: EngineRequest) -> EngineAnswer:
        call = asyncio.create_task(self.engine.answer(request))
        try:
            if POISON in request.body.decode():
                while not self.counters().requests_running:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                strike(OWNER, self._number)
                self.struck_at = time.monotonic()
            return await call
        finally:
            call.cancel()

    def counters(self) -> EngineCounters:
        return self.engine.counters()

    async def close(self) -> None:
        self.closed_at = time.monotonic()
        await self.engine.close()
        self.closed_in_seconds = time.monotonic() - self.closed_at


def test_an_engine_that_is_stopped_and_one_that_is_killed_cost_the_other_requests_nothing(
    database: Database, settings: Settings, driver: Driver
) -> None:
    """A poisonous request hangs the engine while others are in flight (SIGSTOP), and kills it when it is alone. The
    third engine answers what is left."""
    bench = Bench(database, settings)
    bench.with_settings(window=8, max_engine_deaths=1, engine_stall_seconds=STALL)
    story = {"max_tokens": 48, "ignore_eos": True, "temperature": 0}
    lines = [chat_line(f"story-{i}", f"Story {i}", **story) for i in range(40)]
    lines[30] = chat_line("poison", POISON, max_tokens=400, ignore_eos=True)
    batch_id = bench.submit(lines, model="small", line_order="submission")
    engines: list[Fragile] = []
    said: list[str] = []

    def make(_spec: ModelSpec) -> Fragile:
        if engines:
            assert owned(OWNER) == []
            engines.append(Fragile(None, signal.SIGKILL))
        else:
            engines.append(Fragile(driver.engine, signal.SIGSTOP))
        driver.engine = engines[-1].engine
        return engines[-1]

    async def scenario() -> None:
        worker = bench.worker(make)
        while bench.status(batch_id) is not BatchStatus.COMPLETED:
            await worker.run_once(now=time.time(), steady=time.monotonic())
            said.append(worker._status(0, 0).report.trouble or "")
            await asyncio.sleep(0.1)
        assert worker.room.restarts == 2

    driver.runner.run(scenario())
    hung, killed, _left_to_the_next_test = engines
    assert STALL < hung.closed_at - hung.struck_at < STALL + 60
    assert any("it showed no sign of work for" in words for words in said)
    assert any("its process has died" in words for words in said)
    assert max(engine.closed_in_seconds for engine in (hung, killed)) < CLOSED_WITHIN

    answers = bench.output(batch_id)
    assert sorted(custom_ids(answers)) == sorted(f"story-{i}" for i in range(40) if i != 30)
    assert all(answer["response"]["body"]["usage"]["completion_tokens"] == 48 for answer in answers)
    [error] = bench.errors(batch_id)
    assert (error["custom_id"], error["error"]["code"]) == ("poison", "engine_crashed")
    completed = {row for row in bench.ledger(batch_id, "attempts", "status") if row[1] == "completed"}
    assert completed == {(1, "completed")}


# The last test: it ends the engine that the others share.
def test_an_engine_that_is_told_to_end_is_reported_with_no_half_answer_and_a_closed_one_answers_no_more(
    driver: Driver,
) -> None:
    async def die() -> set[type]:
        """Strike the engine while it answers, close it, and return how the requests ended."""
        endless = {"temperature": 0, "ignore_eos": True}
        stories = [
            *driver.tell_stories(2),
            asyncio.create_task(driver.send("/v1/completions", prompt="One", max_tokens=900, **endless)),
            asyncio.create_task(driver.send("/v1/responses", input="One", max_output_tokens=900, **endless)),
        ]
        await until(lambda: driver.engine.counters().requests_running == 4)
        strike(OWNER, signal.SIGTERM)
        await asyncio.wait(stories)
        async with asyncio.timeout(CLOSED_WITHIN):
            await driver.engine.close()
            await driver.engine.close()
        return {type(outcome) for outcome in await asyncio.gather(*stories, return_exceptions=True)}

    assert driver.runner.run(die()) == {EngineDeadError}
    assert owned(OWNER) == []
    with pytest.raises(EngineDeadError):
        driver.ask("/v1/completions", prompt="anyone?")
