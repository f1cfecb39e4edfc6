"""One worker process in miniature: the real `Worker` on a database connection and an engine of its own.

It can be killed at any transaction or failpoint of its turn, so that nothing after that moment has happened, or frozen
before any transaction (SIGSTOP, a suspended laptop) while others go on, and thawed when its lease may be over.
"""

import asyncio
import errno
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast
from unittest.mock import patch

import orjson
import psutil
from pysqlite3 import dbapi2
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import OperationalError

from batch_app import database as database_module
from batch_app import ids
from batch_app.database import Database
from batch_app.disk import failpoints
from batch_app.inference.echo_engine import EchoEngine
from batch_app.inference.engine import EngineAnswer, EngineDeadError, EngineRequest, ModelLoadError
from batch_app.models import Models, ModelSpec
from batch_app.processing import lost_workers
from batch_app.processing.heartbeat import Heartbeat
from batch_app.processing.worker_loop import Worker
from batch_app.settings import Settings
from batch_app.store import workers
from batch_app.store.claims import Claim

Trouble = Literal["database", "disk"]
MODELS = Models([], allow_unlisted=True)
BROKEN_MODEL = "broken"
_SETTLING = 20  # rounds of the event loop that an answer needs at most from the engine to the run


class KilledError(BaseException):
    """kill -9: no handler of the product may catch it."""


def killed() -> None:
    raise KilledError


@cache
def _statements() -> tuple[Any, Any]:
    engine = create_engine("sqlite://", module=dbapi2)
    engine.connect().close()  # the dialect asks what SQLite this is
    engine.dispose()
    return engine.dialect, engine._compiled_cache


def open_database(path: Path) -> Database:
    """What SQLAlchemy makes of a statement is the same in each process, and half of a history's work: made once."""
    database = Database(path)
    database.engine.dialect, database.engine._compiled_cache = _statements()
    return database


class Moments:
    """Does something at one of a process's next moments, and watches that writers take the lock first."""

    def __init__(self, database: Database) -> None:
        self._left = 0
        self._deed: Callable[[], None] | None = None
        self._rival = dbapi2.connect(
            str(database.path), timeout=0, isolation_level=None, check_same_thread=False
        )
        event.remove(database.engine, "begin", database_module._begin)
        for step in (self._before_begin, database_module._begin, self._after_begin):
            event.listen(database.engine, "begin", step)

    def kill_at(self, moment: int) -> None:
        """Before a transaction or at a failpoint; the first one is moment 1."""
        self.do_at(moment, killed)
        failpoints._armed = cast(failpoints._Armed, self)

    def do_at(self, moment: int, deed: Callable[[], None]) -> None:
        """Before a transaction begins: in the middle of one, nobody else could write."""
        self._left, self._deed = moment, deed

    def nothing(self) -> None:
        self._left, self._deed = 0, None
        failpoints._armed = None

    def passed(self, _failpoint: str) -> None:
        self._pass()

    def close(self) -> None:
        self._rival.close()

    def _before_begin(self, _connection: Connection) -> None:
        self._pass()

    def _pass(self) -> None:
        self._left -= 1
        if self._left == 0 and self._deed is not None:
            deed, self._deed = self._deed, None
            deed()

    def _after_begin(self, connection: Connection) -> None:
        if not connection.get_execution_options().get("write", False):
            return
        try:
            self._rival.execute("BEGIN IMMEDIATE")
        except dbapi2.OperationalError:
            return
        self._rival.execute("ROLLBACK")
        raise AssertionError("a transaction that will write has begun without the lock")


class ScriptedEngine(EchoEngine):
    """Holds each request until it is let go; then answers as the request's text commands."""

    def __init__(self, spec: ModelSpec, *, is_free: bool) -> None:
        super().__init__()
        self._spec, self._is_free = spec, is_free
        self._held: dict[str, asyncio.Future[None]] = {}

    async def start(self) -> None:
        if self._spec.name == BROKEN_MODEL:
            raise ModelLoadError("this model cannot be loaded")

    async def answer(self, request: EngineRequest) -> EngineAnswer:
        if not self._is_free:
            self._held[request.request_id] = asyncio.get_running_loop().create_future()
            try:
                await self._held[request.request_id]
            finally:
                self._held.pop(request.request_id, None)
        answer = await super().answer(request)
        return EngineAnswer(answer.status_code, b"[]") if b"[[nonsense]]" in request.body else answer

    def let_go(self, how_many: int) -> None:
        for future in [future for future in self._held.values() if not future.done()][:how_many]:
            future.set_result(None)

    def set_free(self) -> None:
        """From now on everything is answered at once."""
        self._is_free = True
        self.let_go(len(self._held))

    def kill(self) -> None:
        """The engine's process is gone, and with it everything in flight."""
        self._dead.set()
        for future in self._held.values():
            if not future.done():
                future.set_exception(EngineDeadError("killed"))


class Incarnation:
    """A worker from its registration to its death. `elsewhere`: on another machine, so only its silence tells."""

    def __init__(self, settings: Settings, *, now: float, elsewhere: bool, is_free: bool) -> None:
        self.id = ids.new_worker_id()
        self.is_free = is_free
        self.is_dead = False
        self.database = open_database(settings.database_path)
        self.moments = Moments(self.database)
        self.engine: ScriptedEngine | None = None
        self._turn: asyncio.Task[None] | None = None
        self._now, self._steady = now, 0.0
        self._gate = threading.Event()
        self._frozen: asyncio.Future[None] | None = None
        self._register(settings, now=now, elsewhere=elsewhere)
        self.heartbeat = Heartbeat(self.database, self.id, interval_seconds=settings.heartbeat_seconds)
        self.worker = Worker(
            self.database, settings, MODELS, self._make_engine, self.heartbeat, worker_id=self.id
        )

    def _register(self, settings: Settings, *, now: float, elsewhere: bool) -> None:
        """As `batch_app.worker.register` does, by the test's clock."""
        workers.register_worker(
            self.database,
            worker_id=self.id,
            host="elsewhere" if elsewhere else socket.gethostname(),
            pid=os.getpid(),
            process_started_at=lost_workers.started_after_boot(psutil.Process()),
            engine="echo",
            now=now,
        )
        lost = lost_workers.release_lost_workers(self.database, settings, own_id=self.id, now=now)
        lost_workers.sweep(self.database, settings, lost=lost, now=now)

    def _make_engine(self, spec: ModelSpec) -> ScriptedEngine:
        self.engine = ScriptedEngine(spec, is_free=self.is_free)
        return self.engine

    @property
    def is_frozen(self) -> bool:
        return self._turn is not None

    def set_free(self) -> None:
        self.is_free = True
        if self.engine is not None:
            self.engine.set_free()

    @property
    def claims(self) -> list[Claim]:
        """What it works on."""
        return [run.claim for run in self.worker.runs]

    @property
    def has_last_answers(self) -> bool:
        """Whether its next turn may end a batch."""
        return any(run.arrived and not run.ready and not run.in_flight for run in self.worker.runs)

    async def turn(self, now: float, *, let_go: int = 0) -> None:
        """One turn, or the rest of the one it was frozen in, and what the engine then answers."""
        self._steady += max(now - self._now, 0.0)  # a wall clock that is set back does not move it
        self._now = now
        if self._turn is None:
            self._turn = asyncio.ensure_future(self.worker.run_once(now=now, steady=self._steady))
        else:
            self._gate.set()
        await self._go_on()
        if self._turn is None and self.engine is not None:
            await settle()
            self.engine.let_go(let_go)
            await settle()

    async def _go_on(self) -> None:
        """Until the turn ends or freezes."""
        assert self._turn is not None
        self._frozen = asyncio.get_running_loop().create_future()
        await asyncio.wait({self._turn, self._frozen}, return_when=asyncio.FIRST_COMPLETED)
        if self._turn.done():
            turn, self._turn = self._turn, None
            self.moments.nothing()
            turn.result()

    async def turn_and_freeze(self, now: float, *, moment: int) -> None:
        """A turn that stands still before one of its transactions; a short turn may end before it."""
        loop = asyncio.get_running_loop()

        def freeze() -> None:
            if threading.current_thread() is threading.main_thread():
                return  # the loop that drives every process of this test must not stand still
            self._gate.clear()
            assert self._frozen is not None
            loop.call_soon_threadsafe(self._frozen.set_result, None)
            self._gate.wait()
            if self.is_dead:
                raise KilledError

        self.moments.do_at(moment, freeze)
        await self.turn(now)

    async def turn_and_die(self, now: float, *, moment: int) -> None:
        """kill -9 before a transaction or at a failpoint of the turn, or at its end when it has fewer."""
        self.moments.kill_at(moment)
        with suppress(KilledError):
            await self.turn(now)
        await self.die()

    async def turn_in_trouble(self, now: float, *, trouble: Trouble, moment: int) -> None:
        """A turn in which the disk is full, or the database busy, at that moment; the next turn may go on."""
        failures = iter([False] * (moment - 1) + [True])

        def refuse() -> None:
            raise OperationalError("BEGIN", {}, Exception("database is locked"))

        def sync(descriptor: int, real: Callable[[int], None] = os.fsync) -> None:
            if next(failures, False):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(descriptor)

        if trouble == "database":
            self.moments.do_at(moment, refuse)
        disk = patch.multiple(os, fsync=sync, fdatasync=sync) if trouble == "disk" else nullcontext()
        with disk, suppress(OperationalError, OSError):  # as the loop around the turns waits them out
            await self.turn(now, let_go=2)

    async def die(self) -> None:
        """kill -9: only what the operating system would free is freed. Its row still says that it lives."""
        self.is_dead = True
        if self._turn is not None:
            self._gate.set()
            await asyncio.wait({self._turn})
            self._turn.exception()
        for run in self.worker.runs:
            self.worker.runs._close(run)
        if (loading := self.worker.room._loading) is not None:
            loading.cancel()
        await settle()
        with self.database.write() as connection:  # its pid is some other process's from now on
            gone = "UPDATE workers SET process_started_at = 0 WHERE id = ?"
            connection.exec_driver_sql(gone, (self.id,))
        self._close()

    async def give_back(self) -> None:
        """All that it has, as before another model is loaded."""
        for run in self.worker.runs:
            await self.worker.runs.release(run)

    async def stop(self, now: float) -> None:
        """SIGTERM without grace."""
        await self.give_back()
        await self.worker.room.close()
        workers.stop_worker(self.database, worker_id=self.id, now=now)
        self.is_dead = True
        self._close()

    def _close(self) -> None:
        self.moments.close()
        self.database.close()

    def beat(self, now: float) -> None:
        self.heartbeat.beat(now, steady_now=time.monotonic(), with_sample=False)


async def settle() -> None:
    for _ in range(_SETTLING):
        await asyncio.sleep(0)


def text_of(answer: dict[str, Any]) -> str:
    """What the engine was asked, as its answer repeats it."""
    return str(answer["response"]["body"]["choices"][0]["message"]["content"])


def parsed(line: bytes) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(line)
    return found
