"""The database's files on the disk: a write-ahead log kept small, pages given back that deleted rows left empty."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from batch_app.database import BUSY_TIMEOUT_MS, Database

_PATIENCE_MS = 1000  # meanwhile nobody else can write
_PAGES_AT_ONCE = 2000


def wal_bytes(database: Database) -> int:
    wal = database.path.with_name(f"{database.path.name}-wal")
    return wal.stat().st_size if wal.exists() else 0


def truncate_wal(database: Database, *, limit_bytes: int) -> int:
    """Write a log that is larger into the database and cut it to nothing, unless somebody reads from it for longer
    than a moment. Returns its size afterwards. It grows while a reader holds on to an old state."""
    if wal_bytes(database) > limit_bytes:
        with _outside_transactions(database) as connection:
            connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    return wal_bytes(database)


def release_free_pages(database: Database, *, min_bytes: int, min_share: float) -> int:
    """Shrink a database of which at least so many bytes, and that share, are unused. Returns the bytes given back.

    In small steps: others write between them. One that was made without auto_vacuum stays as large as it is.
    """
    with _outside_transactions(database) as connection:
        [page_bytes, pages, unused] = [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_size", "page_count", "freelist_count")
        ]
        if unused * page_bytes < min_bytes or unused < pages * min_share:
            return 0
        for _step in range(0, unused, _PAGES_AT_ONCE):
            connection.execute(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})").fetchall()
        left = connection.execute("PRAGMA freelist_count").fetchone()[0]
    return int((unused - left) * page_bytes)


@contextmanager
def _outside_transactions(database: Database) -> Iterator[Any]:
    connection = database.engine.raw_connection()
    try:
        yield connection.driver_connection
    finally:
        connection.close()
