"""The real engine on the small model, loaded once for the tests of this folder that bring none of their own.

A load takes half a minute. So the tests of trouble begin with the engine that the others have used, and leave what they
end with to the last of them.
"""

import asyncio
import itertools
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from batch_app.inference.engine import EngineAnswer, EngineRequest
from batch_app.inference.engine_processes import owned
from batch_app.inference.vllm_engine import VllmEngine
from batch_app.models import ModelSpec
from batch_app.settings import PROJECT_DIR

FOLDER = PROJECT_DIR / "models" / "SmolLM2-135M-Instruct"
ENGINE = {
    "dtype": "bfloat16",
    "max_model_len": 8192,
    "max_num_batched_tokens": 1024,  # a long prompt takes several steps
    "max_num_seqs": 64,
    "kv_cache_memory_bytes": 2**30,
}
CLOSED_WITHIN = 30.0  # seconds; ten are promised, of a machine that does nothing else
OWNER = "worker-of-the-engine-tests"


def spec(source: Path = FOLDER, **engine: Any) -> ModelSpec:
    return ModelSpec(name="small", source=str(source), engine=ENGINE | engine)


def strike(owner: str, number: signal.Signals) -> None:
    """Send a signal to the process that schedules and computes."""
    for process in owned(owner):
        if process.name() == "VLLM::EngineCore":
            process.send_signal(number)


async def until(condition: Callable[[], object]) -> None:
    """As `wait_until`, which would keep the loop from turning."""
    async with asyncio.timeout(300):
        while not condition():  # noqa: ASYNC110 (an engine has no event for it)
            await asyncio.sleep(0.02)


@dataclass
class Driver:
    """Drives an engine from the tests' one event loop. Whoever ends the engine puts another in its place."""

    runner: asyncio.Runner
    engine: VllmEngine
    turns_while_loading: int = 0
    load_seconds: float = 0.0
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def load(self) -> None:
        async def load() -> None:
            turning, began = asyncio.create_task(self._turn()), time.monotonic()
            await self.engine.start()
            turning.cancel()
            self.load_seconds = time.monotonic() - began

        self.runner.run(load())

    async def _turn(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            self.turns_while_loading += 1

    async def send(self, url: str, **body: Any) -> EngineAnswer:
        request_id = f"request-{next(self._numbers)}"
        return await self.engine.answer(
            EngineRequest(request_id, url, orjson.dumps({"model": "small", **body}))
        )

    def ask(self, url: str, **body: Any) -> tuple[int, dict[str, Any]]:
        """The status and the body of one answer."""
        answer = self.runner.run(self.send(url, **body))
        return answer.status_code, orjson.loads(answer.body)

    async def chat(self, text: str, **body: Any) -> EngineAnswer:
        messages = [{"role": "user", "content": text}]
        return await self.send("/v1/chat/completions", messages=messages, **{"temperature": 0, **body})

    def tell_stories(self, number: int) -> list[asyncio.Task[EngineAnswer]]:
        """Requests that take long; to be called inside the loop."""
        return [
            asyncio.create_task(self.chat(f"Story {i}", max_tokens=900, ignore_eos=True))
            for i in range(number)
        ]


@pytest.fixture(scope="package")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="package")
def driver(runner: asyncio.Runner) -> Iterator[Driver]:
    assert FOLDER.is_dir(), f"{FOLDER} is missing: `make setup` makes it"
    driver = Driver(runner, VllmEngine(spec(), owner=OWNER))
    try:
        driver.load()
        yield driver
    finally:
        runner.run(driver.engine.close())
