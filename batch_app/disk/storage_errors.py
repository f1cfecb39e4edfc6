"""What a disk or a database in trouble says, in one line for a person, without what was being written."""

import errno

from pysqlite3 import dbapi2
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_BUSY = frozenset({dbapi2.SQLITE_BUSY, dbapi2.SQLITE_LOCKED})


def is_full_disk(error: BaseException) -> bool:
    """Whether there was no room to write: of the disk, of a quota, of a file's allowed size."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return bool(_sqlite_code(error) == dbapi2.SQLITE_FULL)


def is_busy_database(error: BaseException) -> bool:
    """Whether another process held the database for longer than we wait."""
    return _sqlite_code(error) in _BUSY


def describe_error(error: OSError | SQLAlchemyError) -> str:
    """SQLAlchemy's own text holds the statement and its values, which belong in no log."""
    if isinstance(error, DBAPIError):
        return str(error.orig)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return type(error).__name__ if isinstance(error, SQLAlchemyError) else str(error)


def _sqlite_code(error: BaseException) -> int | None:
    """The primary result code; the extended ones are in the bits above."""
    source = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(source, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None
