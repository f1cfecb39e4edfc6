"""An index of one batch's answers: a SQLite file beside the data, made from ledger and answers, grown as they come.

It serves what the ledger cannot: words, and the fields of the JSON in them, to be searched, sorted, joined and
counted in SQL. Nothing depends on it: a missing, old or damaged one, or one that disagrees with the ledger, is made
again. Only the API process writes it. Plain SQL, for its columns are JSON paths.
"""

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final

import orjson
from pysqlite3 import dbapi2

from batch_app.answer_index.answer_text import answer_text, json_in, leaves
from batch_app.answer_index.open_answers import open_answers
from batch_app.database import Database
from batch_app.disk.files import KINDS, AnswerKind, AnswerReader, Place, make_folder
from batch_app.errors import BadQueryError, IndexMissingError
from batch_app.settings import Settings
from batch_app.store import batches, request_reads

log = logging.getLogger(__name__)

VERSION: Final = 2
MAX_FIELDS: Final = 200
_ROWS_AT_ONCE: Final = 500
_PATIENCE_SECONDS: Final = 30
_QUERY_SECONDS: Final = 10
_SLICE_SECONDS: Final = 0.2
_LOCKS_GUARD: Final = Lock()
_SCHEMA: Final = """
CREATE TABLE answers (
    line INTEGER PRIMARY KEY,
    custom_id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    status_code INTEGER,
    error_code TEXT,
    finish_reason TEXT,
    attempts INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    seconds REAL,
    text TEXT NOT NULL,
    json BLOB -- what the text holds of JSON, as JSONB
);
CREATE TABLE fields (
    path TEXT PRIMARY KEY,
    place TEXT NOT NULL, -- the path as SQLite writes it
    answers INTEGER NOT NULL,
    numbers INTEGER NOT NULL
);
CREATE TABLE streams (kind TEXT PRIMARY KEY, end INTEGER NOT NULL); -- how far each answer stream is indexed
INSERT INTO streams VALUES ('output', 0), ('error', 0);
"""
_INSERT: Final = "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, jsonb(?))"
_COUNT_FIELD: Final = """
INSERT INTO fields VALUES (?, ?, 1, ?) ON CONFLICT DO UPDATE
SET answers = answers + 1, numbers = numbers + excluded.numbers
"""


@dataclass(frozen=True, slots=True)
class Field:
    """A plain value that many answers have in their JSON, and in how many of them it is a number. A null is none."""

    path: str
    place: str
    answers: int
    numbers: int

    @property
    def is_number(self) -> bool:
        """In all of them."""
        return self.numbers == self.answers


class Indexes:
    """The indexes of all batches of one data folder."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self._folder = settings.index_dir
        self._locks: dict[str, Lock] = {}

    def complete(self, batch_id: str) -> None:
        """Index all answers that there are, in slices, so that others can come in between."""
        while not self.refresh(batch_id, seconds=_SLICE_SECONDS):
            pass

    def refresh(self, batch_id: str, *, seconds: float) -> bool:
        """Index the answers that came since, for so long at most, waiting for others who do it included; whether none
        is left."""
        until = time.monotonic() + seconds
        make_folder(self._folder)
        lock = self._lock(batch_id)
        if not lock.acquire(timeout=seconds):
            return False
        try:
            return self._catch_up(batch_id, until)
        except dbapi2.DatabaseError as error:
            if not _is_broken(error):
                raise
            log.warning("index_made_again", extra={"batch_id": batch_id, "reason": str(error)})
            self._unlink(batch_id)
            return self._catch_up(batch_id, until)
        finally:
            lock.release()

    def _catch_up(self, batch_id: str, until: float) -> bool:
        with closing(_connect(self._path(batch_id))) as index:
            _make_tables(index)
            for kind in KINDS:
                while places := self._behind(index, batch_id, kind):
                    with open_answers(self._database, self._settings, batch_id) as reader:
                        _add(index, reader, kind, places)
                    if time.monotonic() > until:
                        return False
        return True

    @contextmanager
    def reading(self, *batch_ids: str) -> Iterator[dbapi2.Connection]:
        """A connection to the index of the first batch, with those of the others attached as b1, b2, b3.

        Refresh them before. Whatever is asked takes no more than _QUERY_SECONDS in all. Raises IndexMissingError, also
        for a damaged one: then it is gone, and the next refresh makes it again.
        """
        paths = [self._path(batch_id) for batch_id in batch_ids]
        with closing(_connect(paths[0])) as connection:
            connection.create_function("contains", 2, _contains, deterministic=True)
            for number, path in enumerate(paths[1:], 1):
                connection.execute(f"ATTACH ? AS b{number}", (str(path),))
            connection.execute("PRAGMA query_only = ON")
            deadline = time.monotonic() + _QUERY_SECONDS
            connection.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
            try:
                yield connection
            except dbapi2.OperationalError as error:
                if "no such table" in str(error):
                    raise IndexMissingError("The answers are being indexed: ask again in a moment.") from None
                if "interrupted" not in str(error):
                    raise
                message = f"this takes longer than {_QUERY_SECONDS} s: ask for fewer rows, by a filter say"
                raise BadQueryError(message) from None
            except dbapi2.DatabaseError as error:
                if not _is_broken(error):
                    raise
                log.warning("index_removed", extra={"batch_ids": batch_ids, "reason": str(error)})
                for batch_id in batch_ids:  # SQLite does not say which
                    self.remove(batch_id)
                raise IndexMissingError("The answers are being indexed again: ask in a moment.") from None

    def remove(self, batch_id: str) -> None:
        """With its answers their index goes too."""
        with self._lock(batch_id):
            self._unlink(batch_id)

    def _unlink(self, batch_id: str) -> None:
        for suffix in ("", "-journal"):
            Path(f"{self._path(batch_id)}{suffix}").unlink(missing_ok=True)

    def strays(self) -> list[Path]:
        """Indexes of batches that are gone, and those that an older version of this code made."""
        current = f".v{VERSION}.db"
        by_batch = {path: path.name.partition(".")[0] for path in self._folder.glob("batch_*.db")}
        known = batches.known_ids(self._database, among=set(by_batch.values()))
        return [
            path for path, batch_id in by_batch.items() if batch_id not in known or current not in path.name
        ]

    def _path(self, batch_id: str) -> Path:
        return self._folder / f"{batch_id}.v{VERSION}.db"

    def _lock(self, batch_id: str) -> Lock:
        with _LOCKS_GUARD:
            return self._locks.setdefault(batch_id, Lock())

    def _behind(
        self, index: dbapi2.Connection, batch_id: str, kind: AnswerKind
    ) -> list[tuple[dict[str, Any], Place]]:
        [(end,)] = index.execute("SELECT end FROM streams WHERE kind = ?", (kind,)).fetchall()
        return request_reads.list_answers_after(
            self._database, batch_id=batch_id, kind=kind, offset=end, limit=_ROWS_AT_ONCE
        )


def _connect(path: Path) -> dbapi2.Connection:
    connection = dbapi2.connect(
        str(path), isolation_level=None, timeout=_PATIENCE_SECONDS, check_same_thread=False
    )
    connection.row_factory = dbapi2.Row
    return connection


def _is_broken(error: dbapi2.DatabaseError) -> bool:
    """Damaged, by a power cut say, or not what the ledger says: no fault of the question, the disk or the moment."""
    return type(error) is dbapi2.DatabaseError or isinstance(error, dbapi2.IntegrityError)


def _make_tables(index: dbapi2.Connection) -> None:
    index.execute("PRAGMA synchronous = NORMAL")
    if not index.execute("SELECT 1 FROM sqlite_master WHERE name = 'streams'").fetchone():
        index.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")


def _add(
    index: dbapi2.Connection,
    reader: AnswerReader,
    kind: AnswerKind,
    places: list[tuple[dict[str, Any], Place]],
) -> None:
    """One transaction: these answers, their fields, and how far the stream is indexed now."""
    rows, found = [], []
    for row, place in places:
        line = reader.read(place)
        text = answer_text(orjson.loads(line)) if line is not None else ""
        value = json_in(text)
        found.append(value)
        rows.append((*_ledger_values(row), text, orjson.dumps(value).decode() if value is not None else None))
    index.execute("BEGIN IMMEDIATE")
    index.executemany(_INSERT, rows)
    _count_fields(index, found)
    end = max(place.offset + place.length for _row, place in places)
    index.execute("UPDATE streams SET end = ? WHERE kind = ?", (end, kind))
    index.execute("COMMIT")


def _ledger_values(row: dict[str, Any]) -> tuple[Any, ...]:
    started, finished = row["started_at"], row["finished_at"]
    seconds = max(0.0, finished - started) if started is not None else None
    names = ("line", "custom_id", "status", "status_code", "error_code", "finish_reason", "attempts")
    return (*(row[name] for name in names), row["input_tokens"], row["output_tokens"], seconds)


def _count_fields(index: dbapi2.Connection, values: Iterable[Any]) -> None:
    """Answers with names of their own each (ids as keys, say) must not make a column each. A null is no value."""
    known = {path for (path,) in index.execute("SELECT path FROM fields")}
    counted = []
    for value in values:
        for path, place, leaf in leaves(value):
            if leaf is None or (path not in known and len(known) >= MAX_FIELDS):
                continue
            known.add(path)
            is_number = isinstance(leaf, int | float) and not isinstance(leaf, bool)
            counted.append((path, place, int(is_number)))
    index.executemany(_COUNT_FIELD, counted)


def _contains(value: Any, part: str) -> bool:
    """For letters beyond ASCII, whose case SQLite does not know; `part` is lower case already."""
    return value is not None and part in str(value).lower()


def fields_of(connection: dbapi2.Connection, schema: str = "main") -> list[Field]:
    """The most frequent first."""
    query = f"SELECT path, place, answers, numbers FROM {schema}.fields ORDER BY answers DESC, path"
    return [Field(*row) for row in connection.execute(query)]
