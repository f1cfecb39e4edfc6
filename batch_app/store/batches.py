"""Batches: reading and cancelling them. How they come in is in `store.accepting`, claims and ends in `store.claims`."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from batch_app.database import Database
from batch_app.errors import (
    BatchNotCancellableError,
    BatchNotFoundError,
)
from batch_app.options import BatchOptions
from batch_app.states import ACTIVE_BATCH_STATES, BatchStatus, Dialect, RequestStatus
from batch_app.store.engine_usage import EngineUsage
from batch_app.store.tables import batches, events, requests

UNANSWERED = (RequestStatus.PENDING, RequestStatus.RUNNING)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch(BatchOptions):
    """A row of `batches`. The `*_requests` and token columns are None until the batch is final."""

    id: str
    status: BatchStatus
    dialect: Dialect
    model: str
    served_model: str
    endpoint: str
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
    engine_use: EngineUsage | None


_COLUMNS = [batches.c[field.name] for field in fields(Batch)]


def batch_from_row(row: Any) -> Batch:
    values = dict(row._mapping)
    values["status"] = BatchStatus(values["status"])
    for name in ("metadata", "errors"):
        values[name] = json.loads(values[name]) if values[name] else None
    values["engine_use"] = EngineUsage.from_json(values["engine_use"]) if values["engine_use"] else None
    return Batch(**values)


def get_batch(database: Database, *, batch_id: str) -> Batch:
    """Raises BatchNotFoundError."""
    with database.read() as connection:
        return read_batch(connection, batch_id)


def read_batch(connection: Connection, batch_id: str) -> Batch:
    """Within a transaction of the caller's. Raises BatchNotFoundError."""
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
            query = query.where(_older_than(read_batch(connection, after)))
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


def has_answered(database: Database, *, served_model: str) -> bool:
    """Whether this model has answered a line of any batch that is not forgotten yet."""
    answered = (requests.c.batch_id == batches.c.id, requests.c.status == RequestStatus.COMPLETED)
    its_answer = select(requests.c.line).where(*answered).exists()
    query = select(batches.c.id).where(batches.c.served_model == served_model, its_answer).limit(1)
    with database.read() as connection:
        return connection.execute(query).one_or_none() is not None


def retries_of(database: Database, *, batch_ids: Collection[str]) -> dict[str, list[str]]:
    """The ids of the batches that retried each of these, oldest first."""
    query = (
        select(batches.c.parent_batch_id, batches.c.id)
        .where(batches.c.parent_batch_id.in_(batch_ids))
        .order_by(batches.c.created_at, batches.c.id)
    )
    found: dict[str, list[str]] = {}
    with database.read() as connection:
        for parent_id, batch_id in connection.execute(query):
            found.setdefault(parent_id, []).append(batch_id)
    return found


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
        batch = read_batch(connection, batch_id)
    if not moved and batch.status not in (BatchStatus.CANCELLING, BatchStatus.CANCELLED):
        raise BatchNotCancellableError(
            f"Batch '{batch_id}' is {batch.status}; it can no longer be cancelled."
        )
    return batch
