"""The API in this process, called over ASGI as clients call it, and a worker driven as far as a test wants."""

import asyncio
import functools
import json
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI

from batch_app import ids
from batch_app.answer_index.index import Indexes
from batch_app.api.context import Context
from batch_app.api.submission import Submissions
from batch_app.api_server import create_app, open_database
from batch_app.database import Database
from batch_app.disk.files import make_folder
from batch_app.host.gpu import GpuSnapshot
from batch_app.inference.echo_engine import EchoEngine
from batch_app.inference.engine import Engine, EngineAnswer, EngineRequest
from batch_app.models import ModelSpec, load_models
from batch_app.processing.heartbeat import Heartbeat
from batch_app.processing.worker_loop import Worker
from batch_app.settings import Settings
from batch_app.store import batches, workers
from batch_app.store.tables import metadata
from batch_app.store.workers import WorkerReport
from tests.lines import chat_lines, jsonl

MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
_MOST_TURNS = 200
_TURN_SECONDS = 0.25  # on the worker's clock, which runs faster than the real one
T = TypeVar("T")


class ScriptedGpu:
    """Shows the reading that a test sets; None is a machine without a GPU."""

    def __init__(self) -> None:
        self.reading: GpuSnapshot | None = None
        self.own_pids: list[int | None] = []

    def __call__(self, *, own_pid: int | None = None) -> GpuSnapshot | None:
        self.own_pids.append(own_pid)
        return self.reading


class HoldingEngine(EchoEngine):
    """Answers so many requests, and holds the others until it is thrown away."""

    def __init__(self, answers: int) -> None:
        super().__init__()
        self._left = answers

    async def answer(self, request: EngineRequest) -> EngineAnswer:
        if self._left == 0:
            await asyncio.Event().wait()
        self._left -= 1
        return await super().answer(request)


class Api:
    """One API on one data folder. Calls never raise: a crash is an answer with status 500."""

    def __init__(self, settings: Settings, app: FastAPI | None = None) -> None:
        """`app`: one that was made with the same settings, save the data folder, and is not in use."""
        self.settings = settings
        self.gpu = ScriptedGpu()
        self.app = app or create_app(settings, gpu_reader=self.gpu)
        if app is not None:
            app.state.context = self._own_context()
        self.database: Database = self.app.state.context.database
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://localhost:4080")
        self._runner = asyncio.Runner()
        self._worker_id: str | None = None

    def _own_context(self) -> Context:
        for folder in (self.settings.files_dir, self.settings.work_dir, self.settings.temp_dir):
            make_folder(folder)
        models = load_models(self.settings.models_file, allow_unlisted=True)
        database = open_database(self.settings)
        submissions = Submissions(database, self.settings, models, self.gpu)
        return Context(self.settings, database, models, submissions, Indexes(database, self.settings))

    def close(self) -> None:
        self._wait_for(self._client.aclose())
        self._runner.close()
        self.database.close()

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        return self._wait_for(self._client.request(method, path, **request))

    def together(self, calls: list[tuple[str, str, dict[str, Any]]]) -> list[httpx.Response]:
        """Calls (method, path, arguments) made at the same time."""

        async def make() -> list[httpx.Response]:
            return await asyncio.gather(*(self._client.request(m, path, **kw) for m, path, kw in calls))

        return self._wait_for(make())

    def get(self, path: str, **request: Any) -> httpx.Response:
        return self.call("GET", path, **request)

    def post(self, path: str, **request: Any) -> httpx.Response:
        return self.call("POST", path, **request)

    def delete(self, path: str, **request: Any) -> httpx.Response:
        return self.call("DELETE", path, **request)

    def submit(self, content: Any = 3, *, headers: Any = None, **fields: str) -> httpx.Response:
        """The owner's form. `content`: a number of simple requests, the requests themselves, or bytes."""
        if isinstance(content, int):
            content = chat_lines(content)
        if not isinstance(content, bytes):
            content = jsonl(content)
        form = {"model": MODEL, **fields}
        files = {"file": ("candidates.jsonl", content)}
        return self.post("/v1/batches", files=files, data=form, headers=headers)

    def accepted(self, content: Any = 3, **fields: str) -> str:
        """The id of a batch that was just submitted."""
        answer = self.submit(content, **fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["batch_id"])

    def batch(self, batch_id: str) -> Any:
        answer = self.get(f"/v1/batches/{batch_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def results(self, batch_id: str, **params: int) -> list[Any]:
        answer = self.get(f"/v1/batches/{batch_id}/results", params=params)
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.content.splitlines()]

    def finished(self, content: Any = 3, **fields: str) -> str:
        """The id of a batch that was submitted and worked on to its end."""
        batch_id = self.accepted(content, **fields)
        self.work()
        return batch_id

    def stored(self) -> dict[str, Any]:
        """Everything there is: rows by table, and the files."""
        folders = (self.settings.files_dir, self.settings.temp_dir, self.settings.work_dir)
        with self.database.read() as connection:
            rows = {
                table.name: connection.exec_driver_sql(f"SELECT count(*) FROM {table.name}").scalar_one()
                for table in metadata.sorted_tables
            }
        return {**rows, "paths": sorted(str(path) for folder in folders for path in folder.rglob("*"))}

    def has_stored_nothing(self) -> bool:
        stored = self.stored()
        return not stored.pop("paths") and not any(stored.values())

    def register_worker(self, *, age_seconds: float = 0, **report: Any) -> str:
        """A worker's row, whose last heartbeat is that old."""
        worker_id = ids.new_worker_id()
        started = {"host": "elsewhere", "pid": 4711, "process_started_at": 0.0, "engine": "echo"}
        now = time.time() - age_seconds
        workers.register_worker(self.database, worker_id=worker_id, **started, now=now)
        if report:
            workers.beat(self.database, worker_id=worker_id, report=WorkerReport(**report), now=now)
        return worker_id

    def work(
        self,
        *,
        answers: int | None = None,
        make_engine: Callable[[ModelSpec], Engine] | None = None,
        after_seconds: float = 0,
        turn_seconds: float = _TURN_SECONDS,
    ) -> None:
        """A worker works until every batch has ended, or until `answers` more requests are answered and the
        others are in the engine; then it is thrown away. Its clock runs `after_seconds` ahead, and `turn_seconds` go
        by from turn to turn."""
        if self._worker_id is not None:  # what the last one held is free again
            workers.stop_worker(self.database, worker_id=self._worker_id, now=time.time())
        self._worker_id = worker_id = self.register_worker()
        engine = EchoEngine() if answers is None else HoldingEngine(answers)
        wanted = None if answers is None else self._answered() + answers
        clock = (time.time() + after_seconds + turn * turn_seconds for turn in range(_MOST_TURNS))
        asyncio.run(self._turns(worker_id, make_engine or (lambda _spec: engine), wanted, clock))

    async def _turns(
        self,
        worker_id: str,
        make_engine: Callable[[ModelSpec], Engine],
        wanted: int | None,
        clock: Iterable[float],
    ) -> None:
        models = load_models(self.settings.models_file, allow_unlisted=True)
        heartbeat = Heartbeat(self.database, worker_id, interval_seconds=10)
        worker = Worker(self.database, self.settings, models, make_engine, heartbeat, worker_id=worker_id)
        for now in clock:
            await worker.run_once(now=now, steady=now)
            await asyncio.sleep(0)
            if self._is_far_enough(wanted):
                heartbeat.beat(time.time(), steady_now=time.monotonic(), with_sample=True)
                for run in worker.runs:
                    run.close()
                return
        raise AssertionError(f"not there after {_MOST_TURNS} turns")

    def _is_far_enough(self, wanted: int | None) -> bool:
        if wanted is None:
            return not batches.list_open_batches(self.database)
        return self._answered() >= wanted

    def _answered(self) -> int:
        query = "SELECT count(*) FROM requests WHERE status IN ('completed', 'failed')"
        with self.database.read() as connection:
            return int(connection.exec_driver_sql(query).scalar_one())


@functools.cache
def default_app() -> FastAPI:
    """Routes and guards with the default settings, made once: tests move in with data folders of their own."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(data_dir=Path(folder), engine="echo"))
        app.state.context.database.close()
    return app
