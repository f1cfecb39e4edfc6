"""The one way to open the database, and the two kinds of transaction.

SQLite runs in WAL mode with synchronous=FULL: a committed transaction survives a power cut.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pysqlite3 import dbapi2  # carries a SQLite without the WAL-reset bug of 3.7.0 to 3.51.2
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import Engine

from batch_app.disk import failpoints
from batch_app.disk.failpoints import Step
from batch_app.disk.files import make_folder

BUSY_TIMEOUT_MS = 30_000
_LOCK_POLL_SECONDS = 0.02
_INCREMENTAL = 2  # as `PRAGMA auto_vacuum` tells it
WAL_LIMIT_BYTES = 64 * 1024 * 1024


class Database:
    """One SQLite file, opened for many threads. No transaction may span a model call, a file write or an await."""

    def __init__(self, path: Path) -> None:
        make_folder(path.parent)
        self.path = path
        self.engine = _open(path)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view of the database; nothing it does is kept."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self, step: Step | None = None) -> Iterator[Connection]:
        """One transaction, all or nothing. It takes the write lock first, so it waits for its turn and never
        finds out halfway that somebody else has written (SQLITE_BUSY_SNAPSHOT, which no timeout cures).
        `step` is its name among the failpoints; only a test's own has none."""
        with self.engine.connect().execution_options(write=True) as connection, connection.begin():
            yield connection
            failpoints.reach_commit(step, "uncommitted")
        failpoints.reach_commit(step, "committed")

    def close(self) -> None:
        self.engine.dispose()


def _open(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        module=dbapi2,
        connect_args={"check_same_thread": False, "isolation_level": None},
        pool_size=8,
        max_overflow=32,
        hide_parameters=True,  # an error's text is logged: nothing a client sent may stand in it
    )
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: Any, _record: Any) -> None:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    (auto_vacuum,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    if auto_vacuum != _INCREMENTAL:  # to set it again would be a write, and wait for other writers
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only a database that is empty still takes it
    _switch_to_wal(connection)
    for pragma in (
        "synchronous = FULL",
        "foreign_keys = ON",
        f"journal_size_limit = {WAL_LIMIT_BYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _switch_to_wal(connection: Any) -> None:
    """Once in a database's life. SQLite does not wait for a lock here, whatever the busy timeout."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except dbapi2.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_LOCK_POLL_SECONDS)
        else:
            return


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN DEFERRED")
