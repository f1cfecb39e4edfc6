"""The files table: uploads and published results. The bytes are `batch_app.disk.files`'s."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Select, and_, insert, literal, select, tuple_, update

from batch_app.database import Database
from batch_app.errors import FileInUseError, FileMissingError
from batch_app.states import OPEN_BATCH_STATES
from batch_app.store.idempotency import row_with_key
from batch_app.store.tables import batches, files


@dataclass(frozen=True, slots=True)
class NewFile:
    """A durable file about to be named in the database. `path` is relative to the data folder."""

    id: str
    purpose: str
    filename: str
    bytes: int
    sha256: str
    path: str
    expires_at: float | None = None
    idempotency_key: str | None = None
    request_digest: str | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A row of `files`."""

    id: str
    purpose: str
    filename: str
    bytes: int
    sha256: str
    path: str
    created_at: float
    expires_at: float | None


_COLUMNS = [files.c[name] for name in StoredFile.__dataclass_fields__]
_PRESENT = files.c.deleted_at.is_(None)


def insert_file(connection: Connection, file: NewFile, now: float) -> None:
    """Part of the transaction that makes something refer to the file."""
    values = {name: getattr(file, name) for name in NewFile.__dataclass_fields__}
    connection.execute(insert(files).values(**values, created_at=now))


def add_file(database: Database, *, file: NewFile, now: float) -> StoredFile:
    """Name a durable file that nothing refers to yet.

    A known Idempotency-Key with the same digest gives the file it named; compare ids to tell. A deleted file has lost
    its key. Raises IdempotencyKeyReusedError.
    """
    key, digest = file.idempotency_key, file.request_digest
    with database.write("keep_file") as connection:
        if earlier := row_with_key(connection, files, key=key, digest=digest, now=now, gone=~_PRESENT):
            return require_file(connection, earlier.id)
        insert_file(connection, file, now)
        return require_file(connection, file.id)


def get_file(database: Database, *, file_id: str) -> StoredFile:
    """Raises FileMissingError."""
    with database.read() as connection:
        return require_file(connection, file_id)


def require_file(connection: Connection, file_id: str) -> StoredFile:
    """Inside a write transaction: nobody can delete the file until it ends. Raises FileMissingError."""
    row = connection.execute(select(*_COLUMNS).where(files.c.id == file_id, _PRESENT)).one_or_none()
    if row is None:
        raise FileMissingError(file_id)
    return StoredFile(**row._mapping)


def list_files(
    database: Database,
    *,
    limit: int | None,
    newest_first: bool,
    after: str | None = None,
    purpose: str | None = None,
) -> list[StoredFile]:
    """Files in the order of their upload, behind file `after`. Raises FileMissingError when there is none."""
    age = tuple_(files.c.created_at, files.c.id)
    query = select(*_COLUMNS).where(_PRESENT).limit(limit)
    query = query.order_by(*(column.desc() if newest_first else column.asc() for column in age.clauses))
    if purpose is not None:
        query = query.where(files.c.purpose == purpose)
    with database.read() as connection:
        if after is not None:
            last = require_file(connection, after)
            bound = tuple_(literal(last.created_at), literal(last.id))
            query = query.where(age < bound if newest_first else age > bound)
        return [StoredFile(**row._mapping) for row in connection.execute(query)]


def delete_file(database: Database, *, file_id: str, now: float) -> StoredFile:
    """Mark a file deleted; its bytes may go once this returns. Raises FileMissingError, FileInUseError."""
    with database.write("delete_file") as connection:
        file = require_file(connection, file_id)
        if needed_by := connection.execute(_open_batch_with(files.c.id == file_id)).scalars().first():
            raise FileInUseError(
                f"File '{file_id}' is the input of batch '{needed_by}', which is not finished."
            )
        connection.execute(update(files).where(files.c.id == file_id).values(deleted_at=now))
        return file


def delete_expired_files(database: Database, *, now: float) -> list[StoredFile]:
    """Mark every file deleted that is past its expiry and that no unfinished batch needs."""
    due = and_(_PRESENT, files.c.expires_at <= now, ~_open_batch_with(literal(True)).exists())
    with database.write("expire_files") as connection:
        found = [StoredFile(**row._mapping) for row in connection.execute(select(*_COLUMNS).where(due))]
        connection.execute(
            update(files).where(files.c.id.in_([file.id for file in found])).values(deleted_at=now)
        )
    return found


def _open_batch_with(condition: ColumnElement[bool]) -> Select[tuple[str]]:
    """The unfinished batches whose input is the file in question."""
    needs = and_(batches.c.input_file_id == files.c.id, batches.c.status.in_(OPEN_BATCH_STATES))
    return select(batches.c.id).where(needs, condition)


def present_ids(database: Database) -> set[str]:
    """Every file that is there and was not deleted."""
    with database.read() as connection:
        return set(connection.execute(select(files.c.id).where(_PRESENT)).scalars())


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a batch's reader wants to know of one of its files. `bytes` is None when they are gone."""

    filename: str | None
    bytes: int | None


def facts_of(database: Database, *, file_ids: Collection[str]) -> dict[str, FileFacts]:
    """By id; of files that were deleted too, because a batch still names them."""
    columns = (files.c.id, files.c.filename, files.c.bytes, files.c.deleted_at)
    with database.read() as connection:
        rows = connection.execute(select(*columns).where(files.c.id.in_(file_ids)))
        return {row.id: FileFacts(row.filename, None if row.deleted_at else row.bytes) for row in rows}
