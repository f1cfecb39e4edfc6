"""The files table: uploads and published results. The bytes are `batch_app.files`'s."""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from batch_app.database import Database, files


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


def insert_file(connection: Connection, file: NewFile, now: float) -> None:
    """Part of the transaction that makes something refer to the file."""
    values = {name: getattr(file, name) for name in NewFile.__dataclass_fields__}
    connection.execute(insert(files).values(**values, created_at=now))


def get_file(database: Database, *, file_id: str) -> StoredFile | None:
    columns = [files.c[name] for name in StoredFile.__dataclass_fields__]
    with database.read() as connection:
        row = connection.execute(select(*columns).where(files.c.id == file_id)).one_or_none()
    return StoredFile(**row._mapping) if row else None


def filenames(database: Database, *, file_ids: list[str]) -> dict[str, str]:
    """The names under which some files were uploaded, by id."""
    query = select(files.c.id, files.c.filename).where(files.c.id.in_(file_ids))
    with database.read() as connection:
        return {row.id: row.filename for row in connection.execute(query)}
