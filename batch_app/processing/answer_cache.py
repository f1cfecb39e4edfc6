"""Answers kept for later batches, in an SQLite file of their own: derived, bounded, of no consequence when lost.

Only batches that ask for it look here. A key stands for the request and for all else that decides its answer: the
model's files, the engine's arguments. When it is full the oldest answers make room. Whatever is wrong with the file,
nothing was found, and the engine computes the answer.
"""

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final, Protocol

import orjson
from pysqlite3 import dbapi2

from batch_app.disk.files import make_folder
from batch_app.inference.engine import Engine, EngineAnswer, EngineRequest
from batch_app.input.request_digest import request_digest

log = logging.getLogger(__name__)

_KEY_BYTES: Final = 16
_TABLE: Final = "CREATE TABLE IF NOT EXISTS answers (id INTEGER PRIMARY KEY, key BLOB UNIQUE, body BLOB)"
_INSERT: Final = "INSERT OR {} INTO answers (key, body) VALUES (?, ?)"
_FREE_A_TENTH: Final = (
    "DELETE FROM answers WHERE id IN"
    " (SELECT id FROM answers ORDER BY id LIMIT 1 + (SELECT count(*) FROM answers) / 10)"
)


def key_of(engine_identity: str | None, request: EngineRequest) -> bytes | None:
    """None when the answer is left to chance, or when the engine cannot say what decides it."""
    asked = request_digest(request.url, orjson.loads(request.body))
    if engine_identity is None or asked is None:
        return None
    return hashlib.blake2b(asked + engine_identity.encode(), digest_size=_KEY_BYTES).digest()


class Answering(Protocol):
    """Whoever answers requests: an engine, or a cache that asks one."""

    async def answer(self, request: EngineRequest) -> EngineAnswer:
        """As `Engine.answer`."""


@dataclass(frozen=True, slots=True)
class CacheBefore:
    """An engine that is only asked what the cache has no answer to, and whose answers it keeps. Without `look` it is
    asked anyway: what the cache had, if anything, has not served."""

    cache: "AnswerCache"
    engine: Engine
    look: bool

    async def answer(self, request: EngineRequest) -> EngineAnswer:
        key = key_of(self.engine.identity, request)
        if key is None:
            return await self.engine.answer(request)
        if self.look and (body := await asyncio.to_thread(self.cache.find, key)) is not None:
            return EngineAnswer(200, body, from_cache=True)
        answer = await self.engine.answer(request)
        if answer.status_code == 200:
            await asyncio.to_thread(self.cache.keep, key, answer.body, instead=not self.look)
        return answer


class AnswerCache:
    """May be called from any thread. The file appears when it is first asked; `max_bytes` bounds it."""

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._path, self._max_bytes = path, max_bytes
        self._lock = Lock()
        self._connection: Any = None

    def before(self, engine: Engine, *, look: bool) -> CacheBefore:
        return CacheBefore(self, engine, look)

    def find(self, key: bytes) -> bytes | None:
        """The body of the answer."""
        with self._lock:
            try:
                row = self._open().execute("SELECT body FROM answers WHERE key = ?", (key,)).fetchone()
            except (dbapi2.DatabaseError, OSError) as error:
                self._give_up(error)
                return None
        return bytes(row[0]) if row else None

    def keep(self, key: bytes, body: bytes, *, instead: bool = False) -> None:
        """Of two answers for one key the first stays, unless this one is to be there instead."""
        conflict = "REPLACE" if instead else "IGNORE"
        with self._lock:
            try:
                connection = self._open()
                with connection:
                    connection.execute(_INSERT.format(conflict), (key, body))
                    while self._bytes_used(connection) > self._max_bytes:
                        if not connection.execute(_FREE_A_TENTH).rowcount:
                            break
            except (dbapi2.DatabaseError, OSError) as error:
                self._give_up(error)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> Any:
        if self._connection is None:
            make_folder(self._path.parent)
            self._connection = dbapi2.connect(self._path, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = OFF")  # what a power cut takes is computed again
            self._connection.execute(f"PRAGMA journal_size_limit = {2**20}")
            self._connection.execute(_TABLE)
        return self._connection

    def _bytes_used(self, connection: Any) -> int:
        """Pages that are free will be used again."""
        pages, free, size = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def _give_up(self, error: Exception) -> None:
        """A file that is no database any more is made anew; one that is locked or a full disk may be better later."""
        log.warning("answer_cache_failed", extra={"reason": str(error)})
        self.close()
        if isinstance(error, dbapi2.DatabaseError) and not isinstance(error, dbapi2.OperationalError):
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
