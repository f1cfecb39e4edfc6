"""A worker in this process, driven turn by turn against the real database and real files."""

import asyncio
import io
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from batch_app import ids
from batch_app.api.batch_spec import BatchSpec
from batch_app.api.submission import Submissions
from batch_app.database import Database
from batch_app.inference.echo_engine import EchoEngine
from batch_app.inference.engine import Engine, EngineAnswer, EngineRequest
from batch_app.models import Models, ModelSpec
from batch_app.processing.heartbeat import Heartbeat
from batch_app.processing.worker_loop import Worker
from batch_app.settings import Settings
from batch_app.states import FINAL_BATCH_STATES, BatchStatus
from batch_app.store import batches, claims, files, workers
from batch_app.store.batches import Batch
from tests.lines import chat_lines, jsonl

MakeEngine = Callable[[ModelSpec], Engine]


class HeldEngine(EchoEngine):
    """Holds every answer back until the test lets it go; remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self._gate = asyncio.Event()
        self._allowed: set[str] | None = set()

    def let_go(self, *texts: str) -> None:
        """Answer requests that contain one of the texts; without any, answer everything from now on."""
        self._allowed = None if not texts else (self._allowed or set()) | set(texts)
        self._gate.set()

    async def answer(self, request: EngineRequest) -> EngineAnswer:
        text = orjson.loads(request.body)["messages"][-1]["content"]
        self.asked.append(text)
        while self._allowed is not None and not any(word in text for word in self._allowed):
            self._gate.clear()
            await self._gate.wait()
        return await super().answer(request)


@dataclass
class Bench:
    """Submits batches and runs workers; `now` is the wall clock of the test, `steady` the one that nobody sets."""

    database: Database
    settings: Settings
    now: float = 1_000_000.0
    steady: float = 5_000.0
    loads: list[str] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)

    def with_settings(self, **changes: Any) -> None:
        self.settings = self.settings.model_copy(update=changes)

    def submit(self, lines: Any = 10, **order: Any) -> str:
        """`lines`: a number of simple requests, or the requests themselves."""
        self.now += 0.01
        content = jsonl(chat_lines(lines) if isinstance(lines, int) else lines)
        submissions = Submissions(self.database, self.settings, _any_model(), lambda **_: None)
        asked = BatchSpec(**{"model": "tiny", "filename": "input.jsonl", **order})
        return submissions.accept(io.BytesIO(content), asked, now=self.now).id

    def worker(self, make_engine: MakeEngine | None = None) -> Worker:
        """A new incarnation; the old one is simply no longer used, as after a crash."""
        worker_id = ids.new_worker_id()
        workers.register_worker(
            self.database,
            worker_id=worker_id,
            host="elsewhere",
            pid=1,
            process_started_at=0,
            engine="echo",
            now=self.now,
        )

        def make(spec: ModelSpec) -> Engine:
            self.loads.append(spec.name)
            return (make_engine or (lambda _spec: EchoEngine()))(spec)

        heartbeat = Heartbeat(self.database, worker_id, interval_seconds=10)
        worker = Worker(self.database, self.settings, _any_model(), make, heartbeat, worker_id=worker_id)
        self.workers.append(worker)
        return worker

    def crash(self, worker: Worker) -> None:
        """The worker's process is gone, and recovery has noticed. Only what the system would free is freed."""
        self._free(worker)
        claims.release_lost_workers(
            self.database, gone=[worker.id], silent_since=0, except_id="", now=self.now
        )

    def _free(self, worker: Worker) -> None:
        for run_ in worker.runs:
            worker.runs._close(run_)

    async def turn(self, worker: Worker, *, seconds: float = 1.0) -> None:
        """One turn, then as much of the engine's work as needs no waiting."""
        self.now += seconds
        self.steady += seconds
        await worker.run_once(now=self.now, steady=self.steady)
        for _ in range(20):
            await asyncio.sleep(0)

    async def turns(self, worker: Worker, *, until: Callable[[], bool], most: int = 200) -> None:
        for number in range(most):
            if until():
                return
            await self.turn(worker)
            if number > most // 4:  # what threads do may take longer than these turns, on a busy machine
                await asyncio.sleep(0.02)
        raise AssertionError(f"not so after {most} turns")

    async def finish(self, worker: Worker, *batch_ids: str) -> None:
        await self.turns(worker, until=lambda: all(self.status(i) in FINAL_BATCH_STATES for i in batch_ids))

    def batch(self, batch_id: str) -> Batch:
        return batches.get_batch(self.database, batch_id=batch_id)

    def status(self, batch_id: str) -> BatchStatus:
        return self.batch(batch_id).status

    def output(self, batch_id: str) -> list[dict[str, Any]]:
        return self._lines(self.batch(batch_id).output_file_id)

    def errors(self, batch_id: str) -> list[dict[str, Any]]:
        return self._lines(self.batch(batch_id).error_file_id)

    def _lines(self, file_id: str | None) -> list[dict[str, Any]]:
        if file_id is None:
            return []
        file = files.get_file(self.database, file_id=file_id)
        assert file is not None
        return [orjson.loads(line) for line in (self.settings.data_dir / file.path).read_bytes().splitlines()]

    def ledger(self, batch_id: str, *columns: str) -> list[tuple[Any, ...]]:
        with self.database.read() as connection:
            query = f"SELECT {', '.join(columns)} FROM requests WHERE batch_id = ? ORDER BY line"
            return [tuple(row) for row in connection.exec_driver_sql(query, (batch_id,))]


def _any_model() -> Models:
    return Models([], allow_unlisted=True)


@pytest.fixture
def bench(database: Database, settings: Settings) -> Iterator[Bench]:
    bench = Bench(database, settings, now=time.time())
    yield bench
    for worker in bench.workers:
        bench._free(worker)


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine."""
    asyncio.run(test)


def custom_ids(lines: list[dict[str, Any]]) -> list[str]:
    return [line["custom_id"] for line in lines]
