"""The whole system in miniature on one data folder: an API, any number of workers, a clock that can jump.

Everything is the product's own code on a real SQLite file and real files, save the engine, which is scripted, and
the audit: triggers that note every move between states, so that none goes unseen between two looks.
"""

import asyncio
import io
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from batch_app.answer_index.index import Indexes
from batch_app.api import housekeeping
from batch_app.api.batch_spec import BatchSpec
from batch_app.api.context import Context
from batch_app.api.routes import batches as batch_routes
from batch_app.api.submission import Submissions
from batch_app.database import Database
from batch_app.operations.migrate import migrate
from batch_app.processing import heartbeat, lost_workers
from batch_app.settings import Settings
from batch_app.store import batches, files, request_reads, workers
from batch_app.store.claims import Claim
from tests.lines import chat_line, jsonl
from tests.stateful.incarnation import MODELS, Incarnation, Moments, open_database

_AUDIT = """
CREATE TABLE moves (id INTEGER PRIMARY KEY, what TEXT, batch_id TEXT, line INTEGER, old TEXT, new TEXT);
CREATE TRIGGER batch_born AFTER INSERT ON batches BEGIN
  INSERT INTO moves (what, batch_id, new) VALUES ('batch', new.id, new.status); END;
CREATE TRIGGER batch_moved AFTER UPDATE ON batches WHEN old.status <> new.status BEGIN
  INSERT INTO moves (what, batch_id, old, new) VALUES ('batch', new.id, old.status, new.status); END;
CREATE TRIGGER batch_claimed AFTER UPDATE ON batches
  WHEN new.worker_id IS NOT NULL AND new.worker_id IS NOT old.worker_id BEGIN
  INSERT INTO moves (what, batch_id, line, old, new)
    VALUES ('claim', new.id, new.claim_epoch, old.worker_id, new.worker_id); END;
CREATE TRIGGER line_born AFTER INSERT ON requests BEGIN
  INSERT INTO moves (what, batch_id, line, new) VALUES ('line', new.batch_id, new.line, new.status); END;
CREATE TRIGGER line_moved AFTER UPDATE ON requests WHEN old.status <> new.status BEGIN
  INSERT INTO moves (what, batch_id, line, old, new)
    VALUES ('line', new.batch_id, new.line, old.status, new.status); END;
"""
_MEMORY = Path("/dev/shm")  # no test of power cuts: nothing here needs to wait for a disk
_TURNS_TO_REST = 200
_SECONDS_OF_A_TURN = (
    5  # at rest; a device that fails is started again after a minute, a lost worker found after one
)
_AN_HOUR_AND_MORE = 3601
_CLOCK_SET_BACK_BEFORE_TURNS = range(2, 6)  # lines wait for their second attempt then


@contextmanager
def quick_and_quiet() -> Iterator[None]:
    """Looking through the machine's processes takes longer than a turn, and there are none to find. A failure is told
    by its steps; thousands of log lines of other histories would bury them."""
    log = logging.getLogger("batch_app")
    level = log.level
    with (
        patch.object(heartbeat, "resident_bytes", lambda _pid: 0),
        patch.multiple(lost_workers, kill_until_gone=lambda _worker_id: None, marked=list),
    ):
        log.setLevel("CRITICAL")
        yield
        log.setLevel(level)


@cache
def _template() -> bytes:
    """A migrated database with the audit in it."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "batch.db")
        migrate(database)
        with database.engine.connect() as connection:
            connection.connection.driver_connection.executescript(_AUDIT)  # type: ignore[union-attr]
        database.close()
        return database.path.read_bytes()


@dataclass
class World:
    """`texts` holds what every accepted line asked, by batch and custom_id."""

    home: Path = field(
        default_factory=lambda: Path(tempfile.mkdtemp(dir=_MEMORY if _MEMORY.is_dir() else None))
    )
    now: float = field(default_factory=time.time)
    living: list[Incarnation] = field(default_factory=list)
    texts: dict[str, dict[str, str]] = field(default_factory=dict)
    uploads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = Settings(
            data_dir=self.home / "data",
            engine="echo",
            window=3,
            chunk_size=2,
            max_attempts=2,
            retry_backoff_seconds=5,
            max_active_batches=4,
            completion_windows="1h,24h",
        )
        for folder in (self.settings.data_dir, self.settings.files_dir, self.settings.work_dir):
            folder.mkdir()
        self.settings.database_path.write_bytes(_template())
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(16))
        self.start_api()

    def start_api(self) -> None:
        database = open_database(self.settings.database_path)
        submissions = Submissions(database, self.settings, MODELS, lambda **_: None)
        self.api = Context(self.settings, database, MODELS, submissions, Indexes(database, self.settings))
        self.api_moments = Moments(database)

    def stop_api(self) -> None:
        self.api_moments.close()
        self.api.database.close()

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._loop.run_until_complete(coroutine)

    # what clients do

    def submit(self, texts: list[str], **order: Any) -> None:
        """The owner's form: file and batch in one. Raises QueueFullError."""
        self.now += 0.01  # no two are of the same moment, whose order would be left to their ids
        source = io.BytesIO(self._content(texts))
        batch = self.api.submissions.accept(source, BatchSpec(filename="in.jsonl", **order), now=self.now)
        self._remember(batch.id, texts)

    def upload(self, texts: list[str], *, model: str, lifetime: int | None) -> str:
        source = io.BytesIO(self._content(texts, model=model))
        stored = self.api.submissions.upload(
            source, "in.jsonl", lifetime=lifetime, idempotency_key=None, now=self.now
        )
        self.uploads.append(stored.id)
        return stored.id

    def create(self, file_id: str, texts: list[str], **order: Any) -> None:
        """OpenAI's way: a batch of an uploaded file. Raises QueueFullError, FileMissingError."""
        self.now += 0.01
        asked = BatchSpec(model=None, filename="in.jsonl", dialect="openai", **order)
        url = "/v1/chat/completions"
        batch = self.api.submissions.create(asked, file_id=file_id, endpoint=url, now=self.now)
        self._remember(batch.id, texts if batch.total_requests else [])

    def retry(self, batch_id: str) -> None:
        """Raises QueueFullError, ApiError when the input is gone."""
        parent = batches.get_batch(self.api.database, batch_id=batch_id)
        places = request_reads.unsuccessful_inputs(self.api.database, batch_id=batch_id)
        again = {row["custom_id"] for row, _place in self._answered(batch_id) if row["status"] != "completed"}
        assert len(again) == len(places)
        if places:
            spec = batch_routes._spec_of_retry(self.api, parent, None)
            child = batch_routes._resubmit(self.api, parent, spec, places)
            self.texts[child.id] = {
                name: text for name, text in self.texts[batch_id].items() if name in again
            }

    def _answered(self, batch_id: str) -> list[Any]:
        return request_reads.list_answered_rows(
            self.api.database, batch_id=batch_id, wanted=request_reads.RowFilter(), after=0, limit=100
        )

    def delete(self, file_id: str, *, api_dies: bool = False) -> None:
        """Raises FileInUseError, FileMissingError. `api_dies`: between the name and the bytes."""
        file = files.delete_file(self.api.database, file_id=file_id, now=self.now)
        if not api_dies:
            housekeeping.remove_bytes(self.api, file)

    def delete_behind_the_api(self, file_id: str) -> None:
        """Another thread of it, or another process."""
        database = open_database(self.settings.database_path)
        files.delete_file(database, file_id=file_id, now=self.now)
        database.close()

    def _content(self, texts: list[str], model: str = "tiny") -> bytes:
        return jsonl(
            chat_line(f"line-{i}", text, model=model, temperature=0) for i, text in enumerate(texts, 1)
        )

    def _remember(self, batch_id: str, texts: list[str]) -> None:
        self.texts[batch_id] = {f"line-{i}": text for i, text in enumerate(texts, 1)}

    # what time and the operator do

    def start_worker(self, *, elsewhere: bool, is_free: bool = False) -> Incarnation:
        worker = Incarnation(self.settings, now=self.now, elsewhere=elsewhere, is_free=is_free)
        self.living.append(worker)
        return worker

    def take_turn(self, worker: Incarnation, *, let_go: int) -> None:
        """Whatever it finds, a worker does not give itself up, and in a turn of its own lets go of what is not its."""
        was_frozen, was_alive = worker.is_frozen, self._is_thought_alive(worker)
        self.run(worker.turn(self.now, let_go=let_go))
        if not was_frozen:
            assert self._is_thought_alive(worker) == was_alive
            for claim in worker.claims:
                batch = batches.get_batch(self.api.database, batch_id=claim.batch_id)
                assert (batch.worker_id, batch.claim_epoch) == (worker.id, claim.epoch), "works for nothing"

    def _is_thought_alive(self, worker: Incarnation) -> bool:
        return worker.id in {row.id for row in workers.living_workers(self.api.database)}

    def claims(self, *, held: bool) -> list[Claim]:
        """Those that a worker has, or those that are over: renewed ones first, then those of unfinished batches."""
        query = """
            SELECT batch_id, new, moves.line FROM moves JOIN batches ON batches.id = batch_id
            WHERE what = 'claim' AND (worker_id IS new AND claim_epoch = moves.line) = ?
            ORDER BY worker_id IS new DESC, completed_requests IS NULL DESC, moves.id DESC"""
        with self.api.database.read() as connection:
            rows = connection.exec_driver_sql(query, (held,)).all()
        return [Claim(*row, output_end=0, error_end=0) for row in rows]

    def let_die(self, worker: Incarnation, death: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.living.remove(worker)
        self.run(death())

    def open_batches(self) -> list[str]:
        return [batch.id for batch in batches.list_open_batches(self.api.database)]

    def ended_batches(self) -> list[str]:
        open_ones = self.open_batches()
        return [batch_id for batch_id in self.texts if batch_id not in open_ones]

    def come_to_rest(self, *, with_the_living: bool, set_back: bool) -> None:
        """No more faults: every open batch must end. Either whoever lives goes on, or all die and one starts; the
        clock may still be set back when they have begun."""
        for worker in [] if with_the_living else list(self.living):
            self.let_die(worker, worker.die)
        for worker in self.living:
            worker.set_free()
        if not self.living:
            self.start_worker(elsewhere=False, is_free=True)
        self._let_silence_count()
        for turn in range(_TURNS_TO_REST):
            if not self.open_batches():
                return
            if set_back and turn in _CLOCK_SET_BACK_BEFORE_TURNS:
                self.now -= _AN_HOUR_AND_MORE
                self._let_silence_count()
            self.now += _SECONDS_OF_A_TURN
            for worker in self.living:
                worker.beat(self.now)
                self.take_turn(worker, let_go=100)
        rows = batches.list_open_batches(self.api.database)
        raise AssertionError(f"still open after {_TURNS_TO_REST} turns without a fault: {rows}")

    def _let_silence_count(self) -> None:
        """Only silence tells of a death elsewhere, and the clock must first be where it was at the last heartbeat."""
        found = workers.living_workers(self.api.database)
        beats = [worker.heartbeat_at for worker in found if worker.host == "elsewhere"]
        self.now = max([self.now, *beats])

    def sweep(self) -> None:
        """What a worker does at its start, when what lies around is old enough."""
        later = max(self.now, time.time()) + 2 * 3600
        lost_workers.sweep(self.api.database, self.settings, lost=[], now=later)

    def close(self) -> None:
        for worker in list(self.living):
            self.let_die(worker, worker.die)
        self.stop_api()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        shutil.rmtree(self.home)
