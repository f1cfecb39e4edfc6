"""How a batch comes in: with its file and its ledger, or not at all."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, update

from batch_app.database import Database
from batch_app.input.request_lines import LineError
from batch_app.input.scan import ScannedRequest
from batch_app.options import BatchOptions
from batch_app.states import BatchStatus, Dialect
from batch_app.store.admission import QueueLimits, check_room
from batch_app.store.batches import FROZEN_COLUMNS, Batch, read_batch
from batch_app.store.files import NewFile, insert_file, require_file
from batch_app.store.idempotency import row_with_key
from batch_app.store.tables import batches, dead_letters, requests
from batch_app.store.webhooks import insert_event

_ENTERED_AT_ONCE = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch(BatchOptions):
    """A batch to be accepted. `request_digest` identifies the request behind an Idempotency-Key."""

    id: str
    dialect: Dialect
    model: str
    served_model: str
    endpoint: str
    input_file_id: str
    expires_at: float | None = None
    parent_batch_id: str | None = None
    idempotency_key: str | None = None
    request_digest: str | None = None


def accept_batch(
    database: Database,
    *,
    batch: NewBatch,
    file: NewFile | None,
    lines: Sequence[ScannedRequest],
    ranks: Mapping[int, int] | None = None,
    limits: QueueLimits,
    now: float,
) -> Batch:
    """Insert the file, the batch and its ledger, or nothing. `file` is None when it is stored already. `ranks`
    gives each line its place in the order of work; without it that is the order of the file.

    Limits and the Idempotency-Key are decided inside the transaction, so any number of senders at once
    keep to them. A known key with the same digest gives the batch it made; compare ids to tell.
    Raises QueueFullError, IdempotencyKeyReusedError, FileMissingError.
    """
    with database.write("accept") as connection:
        if earlier := _with_key(connection, batch.idempotency_key, batch.request_digest, now):
            return earlier
        check_room(connection, limits, len(lines))
        if file is not None:
            insert_file(connection, file, now)
        else:
            require_file(connection, batch.input_file_id)
        connection.execute(
            insert(batches).values(
                **_columns_of(batch),
                status=BatchStatus.QUEUED,
                total_requests=len(lines),
                created_at=now,
                claim_epoch=0,
            )
        )
        _enter_lines(connection, batch.id, lines, ranks)
        if batch.parent_batch_id is not None:
            _mark_retried(connection, batch)
        return read_batch(connection, batch.id)


def create_failed_batch(
    database: Database, *, batch: NewBatch, errors: Sequence[LineError], now: float
) -> Batch:
    """A batch that fails before it begins: OpenAI's clients learn of a bad input file this way.

    Raises IdempotencyKeyReusedError; a known key with the same digest gives the batch it made.
    """
    listed = [
        {"code": e.code, "message": e.message, "param": e.param, "line": e.line or None} for e in errors
    ]
    with database.write("fail") as connection:
        if earlier := _with_key(connection, batch.idempotency_key, batch.request_digest, now):
            return earlier
        connection.execute(
            insert(batches).values(
                **_columns_of(batch),
                **dict.fromkeys(FROZEN_COLUMNS, 0),
                status=BatchStatus.FAILED,
                total_requests=0,
                created_at=now,
                failed_at=now,
                claim_epoch=0,
                errors=json.dumps(listed),
            )
        )
        insert_event(connection, batch_id=batch.id, status=BatchStatus.FAILED, now=now)
        return read_batch(connection, batch.id)


def _columns_of(batch: NewBatch) -> dict[str, Any]:
    columns = {name: getattr(batch, name) for name in NewBatch.__dataclass_fields__}
    return {**columns, "metadata": json.dumps(batch.metadata) if batch.metadata is not None else None}


def batch_with_key(
    database: Database, *, key: str | None, request_digest: str | None, now: float
) -> Batch | None:
    """The batch that the same request made earlier. Raises IdempotencyKeyReusedError."""
    if key is None:
        return None
    with database.write("look_up_key") as connection:
        return _with_key(connection, key, request_digest, now)


def _with_key(
    connection: Connection, key: str | None, request_digest: str | None, now: float
) -> Batch | None:
    row = row_with_key(connection, batches, key=key, digest=request_digest, now=now)
    return read_batch(connection, row.id) if row is not None else None


def _enter_lines(
    connection: Connection, batch_id: str, lines: Sequence[ScannedRequest], ranks: Mapping[int, int] | None
) -> None:
    """A part at a time: the rows of 50,000 lines at once would take 50 MB, and keep other threads waiting."""
    rank = ranks or {line.line: line.line for line in lines}
    for start in range(0, len(lines), _ENTERED_AT_ONCE):
        part = lines[start : start + _ENTERED_AT_ONCE]
        connection.execute(insert(requests), [_ledger_row(batch_id, line, rank[line.line]) for line in part])


def _ledger_row(batch_id: str, line: ScannedRequest, rank: int) -> dict[str, Any]:
    return {
        "batch_id": batch_id,
        "line": line.line,
        "custom_id": line.custom_id,
        "rank": rank,
        "copy_of": line.copy_of,
        "status": "pending",
        "input_offset": line.offset,
        "input_length": line.length,
    }


def _mark_retried(connection: Connection, batch: NewBatch) -> None:
    letters = update(dead_letters).where(
        dead_letters.c.batch_id == batch.parent_batch_id, dead_letters.c.retried_by_batch_id.is_(None)
    )
    connection.execute(letters.values(retried_by_batch_id=batch.id))
