"""The outbox: an event for every batch that ends, and its deliveries, one per receiver.

An event is part of the transaction that ends its batch, so there is neither an end without its event nor an event
without its end. Who receives it is decided by the process that sends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Select, and_, func, insert, select, update

from batch_app import ids
from batch_app.database import Database
from batch_app.states import BatchStatus, DeliveryStatus
from batch_app.store.tables import events, webhook_deliveries


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to one receiver. `next_attempt_at` is None once it is delivered or given up."""

    id: int
    event_id: str
    event_type: str
    event_created_at: float
    batch_id: str
    url: str
    status: DeliveryStatus
    attempts: int
    next_attempt_at: float | None
    last_attempt_at: float | None
    status_code: int | None
    error: str | None


def insert_event(connection: Connection, *, batch_id: str, status: BatchStatus, now: float) -> None:
    """Part of the transaction that makes the batch final."""
    event = {"id": ids.new_event_id(), "type": f"batch.{status}", "batch_id": batch_id, "created_at": now}
    connection.execute(insert(events).values(event))


def create_deliveries(database: Database, *, urls: Sequence[str], now: float) -> int:
    """Make deliveries of the events that have none yet, one for each receiver there is now; how many events."""
    new = select(events.c.id).where(events.c.addressed_at.is_(None))
    with database.read() as connection:
        if connection.execute(new.limit(1)).one_or_none() is None:
            return 0
    with database.write("address_events") as connection:
        found = list(connection.execute(new.order_by(events.c.created_at, events.c.id)).scalars())
        pending = {"status": DeliveryStatus.PENDING, "attempts": 0, "next_attempt_at": now}
        rows = [{"event_id": event_id, "url": url, **pending} for event_id in found for url in urls]
        if rows:
            connection.execute(insert(webhook_deliveries), rows)
        connection.execute(update(events).where(events.c.id.in_(found)).values(addressed_at=now))
    return len(found)


def abandon_removed_receivers(database: Database, *, urls: Sequence[str]) -> int:
    """Give up what waits for receivers that are no longer among `urls`; how many deliveries."""
    waiting = and_(
        webhook_deliveries.c.status == DeliveryStatus.PENDING, webhook_deliveries.c.url.not_in(urls)
    )
    with database.read() as connection:
        if connection.execute(select(webhook_deliveries.c.id).where(waiting).limit(1)).one_or_none() is None:
            return 0
    reason = {"next_attempt_at": None, "error": "no longer among BATCH_WEBHOOK_URLS"}
    with database.write("abandon") as connection:
        abandon = update(webhook_deliveries).where(waiting)
        return connection.execute(abandon.values(status=DeliveryStatus.FAILED, **reason)).rowcount


def due_deliveries(database: Database, *, url: str, now: float, limit: int) -> list[Delivery]:
    """What one receiver is to be sent now, in the order of the events."""
    query = (
        _deliveries()
        .where(webhook_deliveries.c.url == url, webhook_deliveries.c.next_attempt_at <= now)
        .order_by(webhook_deliveries.c.id)
        .limit(limit)
    )
    with database.read() as connection:
        return [Delivery(*row) for row in connection.execute(query)]


def record_attempt(
    database: Database,
    *,
    delivery_id: int,
    status: DeliveryStatus,
    status_code: int | None,
    error: str | None,
    next_attempt_at: float | None,
    now: float,
) -> None:
    """What came of sending: delivered, given up, or pending with the moment of the next attempt."""
    attempt = (
        update(webhook_deliveries)
        .where(webhook_deliveries.c.id == delivery_id)
        .values(
            status=status,
            attempts=webhook_deliveries.c.attempts + 1,
            next_attempt_at=next_attempt_at,
            last_attempt_at=now,
            status_code=status_code,
            error=error,
        )
    )
    with database.write("note_attempt") as connection:
        connection.execute(attempt)


def list_deliveries(
    database: Database,
    *,
    limit: int,
    after: int | None = None,
    batch_id: str | None = None,
    status: DeliveryStatus | None = None,
) -> list[Delivery]:
    """Newest first, those older than delivery `after`."""
    query = _deliveries().order_by(webhook_deliveries.c.id.desc()).limit(limit)
    if after is not None:
        query = query.where(webhook_deliveries.c.id < after)
    if batch_id is not None:
        query = query.where(events.c.batch_id == batch_id)
    if status is not None:
        query = query.where(webhook_deliveries.c.status == status)
    with database.read() as connection:
        return [Delivery(*row) for row in connection.execute(query)]


def count_deliveries(database: Database) -> dict[DeliveryStatus, int]:
    query = select(webhook_deliveries.c.status, func.count()).group_by(webhook_deliveries.c.status)
    with database.read() as connection:
        found = {DeliveryStatus(status): count for status, count in connection.execute(query)}
    return {status: found.get(status, 0) for status in DeliveryStatus}


def _deliveries() -> Select[Any]:
    of_event: dict[str, Column[Any]] = {
        "event_id": events.c.id,
        "event_type": events.c.type,
        "event_created_at": events.c.created_at,
        "batch_id": events.c.batch_id,
    }
    names = Delivery.__dataclass_fields__
    columns = [of_event[name] if name in of_event else webhook_deliveries.c[name] for name in names]
    return select(*columns).join_from(webhook_deliveries, events)
