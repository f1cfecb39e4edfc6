"""Batches: accepting, reading, cancelling. Claims and ends of batches are in `store.claims`."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, update

from batch_app.database import Database, batches, dead_letters, events, requests
from batch_app.errors import (
    BatchNotCancellableError,
    BatchNotFoundError,
    QueueFullError,
)
from batch_app.intake import InputLine
from batch_app.jsonl import LineError
from batch_app.plan import LineOrder
from batch_app.states import ACTIVE_BATCH_STATES, BatchStatus, Dialect, RequestStatus
from batch_app.store.engine_use import EngineUse
from batch_app.store.files import NewFile, insert_file, require_file
from batch_app.store.idempotency import row_with_key
from batch_app.store.webhooks import note_end

_ENTERED_AT_ONCE = 250
UNANSWERED = (RequestStatus.PENDING, RequestStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class Batch:
    """A row of `batches`. The `*_requests` and token columns are None until the batch is final."""

    id: str
    status: BatchStatus
    dialect: Dialect
    model: str
    served_model: str
    endpoint: str
    priority: int
    line_order: LineOrder
    deduplicate: bool
    use_cache: bool
    completion_window: str | None
    output_expires_after_seconds: int | None
    metadata: dict[str, str] | None
    errors: list[dict[str, Any]] | None
    total_requests: int
    input_file_id: str
    output_file_id: str | None
    error_file_id: str | None
    parent_batch_id: str | None
    request_digest: str | None
    created_at: float
    expires_at: float | None
    in_progress_at: float | None
    finalizing_at: float | None
    completed_at: float | None
    failed_at: float | None
    expired_at: float | None
    cancelling_at: float | None
    cancelled_at: float | None
    worker_id: str | None
    claim_epoch: int
    completed_requests: int | None
    failed_requests: int | None
    cancelled_requests: int | None
    expired_requests: int | None
    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    deduplicated_requests: int | None
    from_cache_requests: int | None
    engine_use: EngineUse | None


_COLUMNS = [batches.c[field.name] for field in fields(Batch)]


def batch_from_row(row: Any) -> Batch:
    values = dict(row._mapping)
    values["status"] = BatchStatus(values["status"])
    for name in ("metadata", "errors"):
        values[name] = json.loads(values[name]) if values[name] else None
    values["engine_use"] = EngineUse.from_json(values["engine_use"]) if values["engine_use"] else None
    return Batch(**values)


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch to be accepted. `request_digest` identifies the request behind an Idempotency-Key."""

    id: str
    dialect: Dialect
    model: str
    served_model: str
    endpoint: str
    input_file_id: str
    priority: int = 0
    line_order: LineOrder = "submission"
    deduplicate: bool = False
    use_cache: bool = False
    completion_window: str | None = None
    expires_at: float | None = None
    output_expires_after_seconds: int | None = None
    metadata: dict[str, str] | None = None
    parent_batch_id: str | None = None
    idempotency_key: str | None = None
    request_digest: str | None = None


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How many batches may be active and how many of their lines unanswered, all batches together."""

    max_active_batches: int
    max_queued_requests: int


def accept_batch(
    database: Database,
    *,
    batch: NewBatch,
    file: NewFile | None,
    lines: Sequence[InputLine],
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
        _check_room(connection, limits, len(lines))
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
        return _get(connection, batch.id)


def require_room(database: Database, *, limits: QueueLimits) -> None:
    """Whether the smallest batch would be accepted now. Raises QueueFullError."""
    with database.read() as connection:
        _check_room(connection, limits, 1)


def _enter_lines(
    connection: Connection, batch_id: str, lines: Sequence[InputLine], ranks: Mapping[int, int] | None
) -> None:
    """A part at a time: the rows of 50,000 lines at once would take 50 MB, and keep other threads waiting."""
    rank = ranks or {line.line: line.line for line in lines}
    for start in range(0, len(lines), _ENTERED_AT_ONCE):
        part = lines[start : start + _ENTERED_AT_ONCE]
        connection.execute(insert(requests), [_ledger_row(batch_id, line, rank[line.line]) for line in part])


def _ledger_row(batch_id: str, line: InputLine, rank: int) -> dict[str, Any]:
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


def batch_with_key(database: Database, *, key: str | None, request_digest: str, now: float) -> Batch | None:
    """The batch that the same request made earlier. Raises IdempotencyKeyReusedError."""
    if key is None:
        return None
    with database.write() as connection:
        return _with_key(connection, key, request_digest, now)


def _with_key(
    connection: Connection, key: str | None, request_digest: str | None, now: float
) -> Batch | None:
    row = row_with_key(connection, batches, key=key, digest=request_digest, now=now)
    return _get(connection, row.id) if row is not None else None


def _check_room(connection: Connection, limits: QueueLimits, lines: int) -> None:
    active, queued = _queue_sizes(connection)
    if active >= limits.max_active_batches:
        raise QueueFullError(
            f"{active} batches are active, {limits.max_active_batches} may be: wait until one ends, or cancel one."
        )
    if queued + lines > limits.max_queued_requests:
        raise QueueFullError(
            f"{queued} requests are queued and this batch has {lines}; {limits.max_queued_requests} may be "
            "queued: wait for room, or submit a smaller batch."
        )


def _queue_sizes(connection: Connection) -> tuple[int, int]:
    active = batches.c.status.in_(ACTIVE_BATCH_STATES)
    unanswered = (
        select(func.count())
        .select_from(batches.join(requests, requests.c.batch_id == batches.c.id))
        .where(active, requests.c.status.in_(UNANSWERED))
    )
    count = select(func.count()).select_from(batches).where(active)
    return connection.execute(count).scalar_one(), connection.execute(unanswered).scalar_one()


def _mark_retried(connection: Connection, batch: NewBatch) -> None:
    letters = update(dead_letters).where(
        dead_letters.c.batch_id == batch.parent_batch_id, dead_letters.c.retried_by_batch_id.is_(None)
    )
    connection.execute(letters.values(retried_by_batch_id=batch.id))


FROZEN_COLUMNS = (
    "completed_requests",
    "failed_requests",
    "cancelled_requests",
    "expired_requests",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "deduplicated_requests",
    "from_cache_requests",
)


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
        note_end(connection, batch_id=batch.id, status=BatchStatus.FAILED, now=now)
        return _get(connection, batch.id)


def _columns_of(batch: NewBatch) -> dict[str, Any]:
    columns = {name: getattr(batch, name) for name in NewBatch.__dataclass_fields__}
    return {**columns, "metadata": json.dumps(batch.metadata) if batch.metadata is not None else None}


def get_batch(database: Database, *, batch_id: str) -> Batch:
    """Raises BatchNotFoundError."""
    with database.read() as connection:
        return _get(connection, batch_id)


def _get(connection: Connection, batch_id: str) -> Batch:
    row = connection.execute(select(*_COLUMNS).where(batches.c.id == batch_id)).one_or_none()
    if row is None:
        raise BatchNotFoundError(batch_id)
    return batch_from_row(row)


def known_ids(database: Database, *, among: Collection[str]) -> set[str]:
    """Which of these ids are batches."""
    with database.read() as connection:
        return set(connection.execute(select(batches.c.id).where(batches.c.id.in_(among))).scalars())


def batch_with_answers(database: Database, *, file_id: str) -> Batch | None:
    """The batch whose output or error file this is."""
    query = select(*_COLUMNS).where(
        or_(batches.c.output_file_id == file_id, batches.c.error_file_id == file_id)
    )
    with database.read() as connection:
        row = connection.execute(query).one_or_none()
        return batch_from_row(row) if row is not None else None


def list_batches(
    database: Database, *, limit: int, after: str | None = None, statuses: Sequence[BatchStatus] = ()
) -> list[Batch]:
    """Newest first, those older than batch `after`. Raises BatchNotFoundError when there is no such batch."""
    query = select(*_COLUMNS).order_by(batches.c.created_at.desc(), batches.c.id.desc()).limit(limit)
    if statuses:
        query = query.where(batches.c.status.in_(statuses))
    with database.read() as connection:
        if after is not None:
            query = query.where(_older_than(_get(connection, after)))
        return [batch_from_row(row) for row in connection.execute(query)]


def _older_than(batch: Batch) -> ColumnElement[bool]:
    same_moment = and_(batches.c.created_at == batch.created_at, batches.c.id < batch.id)
    return or_(batches.c.created_at < batch.created_at, same_moment)


def list_ended_since(database: Database, *, since: float) -> list[str]:
    """The ids of batches that ended at that moment or later."""
    query = select(events.c.batch_id).where(events.c.created_at >= since).order_by(events.c.created_at)
    with database.read() as connection:
        return list(connection.execute(query).scalars())


def list_open_batches(database: Database) -> list[Batch]:
    """Batches that still need work, in the order they deserve it: priority, then age."""
    open_states = [*ACTIVE_BATCH_STATES, BatchStatus.CANCELLING]
    query = (
        select(*_COLUMNS)
        .where(batches.c.status.in_(open_states))
        .order_by(batches.c.priority.desc(), batches.c.created_at, batches.c.id)
    )
    with database.read() as connection:
        return [batch_from_row(row) for row in connection.execute(query)]


def count_batches_by_status(database: Database) -> dict[BatchStatus, int]:
    query = select(batches.c.status, func.count()).group_by(batches.c.status)
    with database.read() as connection:
        return {BatchStatus(status): count for status, count in connection.execute(query)}


def request_cancel(database: Database, *, batch_id: str, now: float) -> Batch:
    """queued or in_progress -> cancelling; the worker ends it. Asking again changes nothing.

    Raises BatchNotFoundError, BatchNotCancellableError.
    """
    cancel = (
        update(batches)
        .where(
            batches.c.id == batch_id,
            batches.c.status.in_([BatchStatus.QUEUED, BatchStatus.IN_PROGRESS]),
        )
        .values(status=BatchStatus.CANCELLING, cancelling_at=now)
    )
    with database.write("cancel") as connection:
        moved = connection.execute(cancel).rowcount
        batch = _get(connection, batch_id)
    if not moved and batch.status not in (BatchStatus.CANCELLING, BatchStatus.CANCELLED):
        raise BatchNotCancellableError(
            f"Batch '{batch_id}' is {batch.status}; it can no longer be cancelled."
        )
    return batch


@dataclass(frozen=True, slots=True)
class QueueState:
    """`oldest_created_at` is when the batch that has waited longest was submitted; None when none waits."""

    active_batches: int
    queued_requests: int
    oldest_created_at: float | None


def queue_state(database: Database) -> QueueState:
    oldest = select(func.min(batches.c.created_at)).where(batches.c.status == BatchStatus.QUEUED)
    with database.read() as connection:
        active, queued = _queue_sizes(connection)
        return QueueState(active, queued, connection.execute(oldest).scalar_one())
