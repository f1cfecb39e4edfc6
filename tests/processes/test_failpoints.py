"""Real processes end at every named step that makes something durable; the next ones lose and double nothing.

The worker's scenario and the client's each pass every failpoint of their process. They run side by side, a process
being mostly asleep, so that all of them take seconds.
"""

import ast
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, get_args

import pytest
import requests
from sqlalchemy import insert, select, update

from batch_app.database import Database
from batch_app.disk.failpoints import EXIT_STATUS, NAMES, Point, Step
from batch_app.settings import PROJECT_DIR
from batch_app.store import batches, claims, tables, workers
from batch_app.store.files import insert_file
from tests import factories
from tests.lines import chat_line, chat_lines, jsonl
from tests.processes.backup_scenarios import end_the_backup, end_the_restore
from tests.processes.forked import Forked, ForkedSystem, Nursery
from tests.processes.invariants import examine_echoes, examine_folder, statuses
from tests.processes.scenarios import (
    OF_API,
    OF_BACKUP,
    OF_LOST_WORKER,
    OF_MENDING_WORKER,
    OF_RESTORE,
    OF_STOPPING_WORKER,
    OF_WORKER,
    finish,
    prepared,
    submit,
)
from tests.processes.system import MODEL
from tests.receiver import SECRET, receiving
from tests.waiting import wait_until

pytestmark = pytest.mark.process


SCENARIOS = [("worker", name) for name in OF_WORKER]
SCENARIOS += [("stopping worker", name) for name in OF_STOPPING_WORKER]
SCENARIOS += [("mending worker", name) for name in OF_MENDING_WORKER]
SCENARIOS += [("lost worker", name) for name in OF_LOST_WORKER]
SCENARIOS += [("backup", name) for name in OF_BACKUP]
SCENARIOS += [("restore", name) for name in OF_RESTORE]
SCENARIOS += [("api", name) for name in OF_API]

ANSWERS = [
    *chat_lines(10),
    chat_line("refused", "[[fail 400]]"),
    chat_line("flaky", "[[flaky 1]]"),
]
CANCELLED = chat_lines(6)
POISON = [*chat_lines(2), chat_line("killer", "[[kill]]")]


def test_every_failpoint_in_the_code_is_listed_and_every_listed_one_is_in_the_code() -> None:
    points, steps = [], []
    for path in (PROJECT_DIR / "batch_app").rglob("*.py"):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            words = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
            match ast.unparse(call.func):
                case "failpoints.reach":
                    points += words
                case name if name.endswith("database.write"):
                    assert words, f"{path}:{call.lineno}: a transaction that writes has no name"
                    steps += words
    assert sorted(points) == sorted(get_args(Point))
    assert sorted(steps) == sorted(get_args(Step))


def test_every_failpoint_has_a_scenario() -> None:
    assert {name for _process, name in SCENARIOS} == set(NAMES)


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, nursery: Nursery, migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], Future[None]]:
    """Of the scenarios of the tests that were asked for, side by side. All of them before the first test: pytest sets
    a variable of the environment for each, and whoever reads the environment meanwhile may fail."""
    wanted = [
        item.callspec.params["scenario"]
        for item in request.session.items
        if item.path == Path(__file__) and isinstance(item, pytest.Function) and hasattr(item, "callspec")
    ]
    play = {
        "worker": end_the_worker,
        "stopping worker": end_the_stopping_worker,
        "mending worker": end_the_mending_worker,
        "lost worker": end_the_lost_worker,
        "backup": end_the_backup,
        "restore": end_the_restore,
        "api": end_the_api,
    }
    with ThreadPoolExecutor(12) as pool:
        return {
            (process, name): pool.submit(
                play[process],
                ForkedSystem(tmp_path_factory.mktemp("failpoint") / "data", nursery=nursery),
                name,
                migrated,
            )
            for process, name in wanted
        }


@pytest.mark.parametrize("scenario", SCENARIOS, ids=" at ".join)
def test_a_process_that_ends_there_loses_and_doubles_nothing(
    outcomes: dict[tuple[str, str], Future[None]], scenario: tuple[str, str]
) -> None:
    outcomes[scenario].result()


def end_the_worker(system: ForkedSystem, failpoint: str, migrated: Path) -> None:
    system.settings = {
        "WINDOW": "4",
        "CHUNK_SIZE": "5",
        "MAX_ENGINE_DEATHS": "1",
        "RETRY_BACKOFF_SECONDS": "0",
    }
    with closing(prepared(system, migrated)) as database:
        sent = {submit(system, database, lines): lines for lines in (ANSWERS, CANCELLED, POISON)}
        answers, cancelled, poison = sent
        batches.request_cancel(database, batch_id=cancelled, now=time.time())
    system.failpoint = failpoint
    assert system.start_worker().wait() == EXIT_STATUS
    finish(system)
    assert statuses(system.data_dir) == {answers: "completed", cancelled: "cancelled", poison: "completed"}
    for batch_id, lines in sent.items():
        assert not examine_echoes(system.data_dir, batch_id, lines)
    assert not examine_folder(system.data_dir)


def end_the_stopping_worker(system: ForkedSystem, failpoint: str, migrated: Path) -> None:
    system.settings = {"WINDOW": "2", "ECHO_LATENCY_MS": "100", "GRACE_SECONDS": "0"}
    with closing(prepared(system, migrated)) as database:
        batch_id = submit(system, database, chat_lines(40))
    system.failpoint = failpoint
    worker = system.start_worker()
    log = f"work/{batch_id}/output-000001-0.jsonl"
    wait_until((system.data_dir / log).exists, what="the first answers")
    assert system.stop(worker) == EXIT_STATUS
    system.settings = {}
    finish(system)
    assert statuses(system.data_dir) == {batch_id: "completed"}
    assert not examine_echoes(system.data_dir, batch_id, chat_lines(40))
    assert not examine_folder(system.data_dir)


def end_the_mending_worker(system: ForkedSystem, failpoint: str, migrated: Path) -> None:
    """The disk has lost the end of a log, as after a power cut."""
    with closing(prepared(system, migrated)) as database:
        batch_id = submit(system, database, chat_lines(10))
    for name in ("begin_finalizing.committed", failpoint):
        system.failpoint = name
        assert system.start_worker().wait() == EXIT_STATUS
        log = system.data_dir / f"work/{batch_id}/output-000001-0.jsonl"
        os.truncate(log, log.stat().st_size // 2)
    finish(system)
    assert statuses(system.data_dir) == {batch_id: "completed"}
    assert not examine_echoes(system.data_dir, batch_id, chat_lines(10))
    assert not examine_folder(system.data_dir)


def end_the_lost_worker(system: ForkedSystem, failpoint: str, migrated: Path) -> None:
    """It is given up on while it works."""
    system.settings = {
        "WINDOW": "2",
        "ECHO_LATENCY_MS": "100",
        "HEARTBEAT_SECONDS": "0.3",
    }
    with closing(prepared(system, migrated)) as database:
        batch_id = submit(system, database, chat_lines(40))
        system.failpoint = failpoint
        worker = system.start_worker()
        log = system.data_dir / f"work/{batch_id}/output-000001-0.jsonl"
        wait_until(log.exists, what="the first answers")
        now = time.time()
        living = [each.id for each in workers.living_workers(database)]
        claims.release_lost_workers(database, gone=living, silent_since=0, except_id="", now=now)
    assert worker.wait() == EXIT_STATUS
    finish(system)
    assert statuses(system.data_dir) == {batch_id: "completed"}
    assert not examine_echoes(system.data_dir, batch_id, chat_lines(40))
    assert not examine_folder(system.data_dir)


def end_the_api(system: ForkedSystem, failpoint: str, migrated: Path) -> None:
    with receiving() as receiver:
        system.settings = {
            "WEBHOOK_URLS": receiver.url,
            "WEBHOOK_SECRET": SECRET,
            "KEEP_ENDED_BATCHES_DAYS": "30",
        }
        kept = {}
        if not failpoint.startswith("migrate"):
            with closing(prepared(system, migrated)) as database:
                kept = {add_what_is_past_its_time(database): "completed"}
        client = Client(system, failpoint)
        uploaded = client.call(lambda: client.upload(chat_lines(3)))["id"]
        failed = client.call(lambda: client.create("file-000000000000000000000000"))["id"]
        cancelled = client.call(lambda: client.submit(CANCELLED))["batch_id"]
        client.call(lambda: requests.delete(f"{system.url}/v1/batches/{cancelled}", timeout=30))
        client.call(lambda: requests.delete(f"{system.url}/v1/files/{uploaded}", timeout=30))
        client.call(lambda: wait_until(client.is_told, what="the event to be delivered"))
        client.wait_for_crash()
        expected = {**kept, failed: "failed", cancelled: "cancelling"}
        wait_until(lambda: statuses(system.data_dir) == expected, what="the old batch to be forgotten")
        assert len(set(receiver.event_ids())) == 1
        assert [file["bytes"] for file in system.get("/v1/files")["data"]] == [len(jsonl(CANCELLED))]
        system.stop_all()
    finish(system)
    assert statuses(system.data_dir) == {**kept, failed: "failed", cancelled: "cancelled"}
    assert not examine_echoes(system.data_dir, cancelled, CANCELLED)
    assert not examine_folder(system.data_dir)


def add_what_is_past_its_time(database: Database) -> str:
    """Files with an expiry and without a use, a batch and workers of long ago; and a batch of yesterday, whose end was
    to be told to a receiver that is gone. Returns that batch's id: all else will be forgotten."""
    now = time.time()
    yesterday, long_ago = now - 24 * 3600, now - 60 * 24 * 3600
    factories.complete(database, factories.accept(database, now=long_ago), now=long_ago)
    kept = factories.complete(database, factories.accept(database, now=yesterday), now=yesterday)
    event_of_kept = select(tables.events.c.id).where(tables.events.c.batch_id == kept.id)
    delivery = {"url": "http://gone.invalid", "status": "pending", "attempts": 0, "next_attempt_at": now}
    input_of_kept = tables.files.c.id == kept.input_file_id
    with database.write() as connection:
        for file in (factories.new_file(expires_at=yesterday), factories.new_file()):
            insert_file(connection, file, long_ago)
        connection.execute(update(tables.files).where(input_of_kept).values(deleted_at=yesterday))
        connection.execute(update(tables.workers).values(state="stopped", stopped_at=long_ago))
        connection.execute(update(tables.events).values(addressed_at=yesterday))
        event_id = connection.execute(event_of_kept).scalar_one()
        connection.execute(insert(tables.webhook_deliveries).values(event_id=event_id, **delivery))
    return kept.id


class Client:
    """Sends each request until it is answered, under one Idempotency-Key, over any crash of the API."""

    def __init__(self, system: ForkedSystem, failpoint: str) -> None:
        self._has_crashed = False
        self._system = system
        system.failpoint = failpoint
        self._start()

    def call(self, request: Callable[[], Any]) -> Any:
        while True:
            with suppress(requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                answer = request()
                return answer.json() if isinstance(answer, requests.Response) else answer
            self._note_crash()

    def _start(self) -> None:
        self._api: Forked = self._system.start("-m", "batch_app.api_server")  # type: ignore[assignment]
        wait_until(lambda: self._api.poll() is not None or self._is_up(), what="the API to answer")
        if self._api.poll() is not None:
            self._note_crash()

    def _is_up(self) -> bool:
        with suppress(requests.ConnectionError):
            return requests.get(f"{self._system.url}/livez", timeout=5).ok
        return False

    def wait_for_crash(self) -> None:
        """What happens beside the requests may happen after the last one."""
        if not self._has_crashed:
            self._note_crash()

    def _note_crash(self) -> None:
        assert self._api.wait() == EXIT_STATUS, self._system.log.read_text()
        assert not self._has_crashed
        self._has_crashed, self._system.failpoint = True, None
        self._start()

    def upload(self, lines: list[dict[str, Any]]) -> requests.Response:
        return self._post("files", "key-1", files={"file": ("a", jsonl(lines))}, data={"purpose": "batch"})

    def create(self, file_id: str) -> requests.Response:
        body = {"input_file_id": file_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        return self._post("batches", "key-2", json=body)

    def submit(self, lines: list[dict[str, Any]]) -> requests.Response:
        return self._post("batches", "key-3", files={"file": ("a", jsonl(lines))}, data={"model": MODEL})

    def _post(self, path: str, key: str, **content: Any) -> requests.Response:
        headers = {"idempotency-key": key}
        answer = requests.post(f"{self._system.url}/v1/{path}", headers=headers, timeout=30, **content)
        assert answer.ok, answer.text
        return answer

    def is_told(self) -> bool:
        deliveries = self._system.get("/v1/webhook_deliveries")["data"]
        states = [delivery["status"] for delivery in deliveries]
        return states[:1] == ["delivered"] and "pending" not in states
