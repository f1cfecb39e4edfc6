"""The database of one moment as a file of its own: made while everybody writes, seen to be sound, and read."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic.util.exc import CommandError
from pysqlite3 import dbapi2

from batch_app.database import Database
from batch_app.errors import BackupError
from batch_app.operations.migrate import current_revision, migrate


@contextmanager
def readable(snapshot: Path) -> Iterator[tuple[Database, str | None]]:
    """A snapshot in the schema that this code knows, and the schema it has: a backup is wanted before an update, and as
    often right after the new code is there. The snapshot itself stays as it is. Raises BackupError."""
    scratch = snapshot.with_name("reading.db")
    shutil.copyfile(snapshot, scratch)
    copy = Database(scratch)
    try:
        schema = current_revision(copy)
        migrate(copy)
        yield copy, schema
    except CommandError as error:
        raise BackupError(f"the database is from a newer version than this code: {error}") from None
    finally:
        copy.close()
        scratch.unlink()


def copy_database(database: Database, to: Path) -> None:
    """All pages in one step: in WAL mode that is one consistent moment, and nobody waits for it. Raises BackupError."""
    to.unlink(missing_ok=True)
    target = dbapi2.connect(str(to))
    source = database.engine.raw_connection()
    try:
        source.driver_connection.backup(target)  # type: ignore[union-attr]
    finally:
        source.close()
        target.close()
    require_sound(to)


def require_sound(path: Path) -> None:
    """Raises BackupError when a database that nobody uses is damaged."""
    connection = dbapi2.connect(str(path))
    try:
        [(found,)] = connection.execute("PRAGMA quick_check(1)").fetchall()
    except dbapi2.DatabaseError as error:
        found = str(error)
    finally:
        connection.close()
    if found != "ok":
        raise BackupError(f"the database is damaged ({found}): see docs/operations.md")
