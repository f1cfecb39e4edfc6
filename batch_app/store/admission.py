"""The queue: how much of it is taken, and whether there is room for more."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from batch_app.database import Database
from batch_app.errors import QueueFullError
from batch_app.states import ACTIVE_BATCH_STATES, BatchStatus
from batch_app.store.batches import UNANSWERED
from batch_app.store.tables import batches, requests


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How many batches may be active and how many of their lines unanswered, all batches together."""

    max_active_batches: int
    max_queued_requests: int


def require_room(database: Database, *, limits: QueueLimits) -> None:
    """Whether the smallest batch would be accepted now. Raises QueueFullError."""
    with database.read() as connection:
        check_room(connection, limits, 1)


def check_room(connection: Connection, limits: QueueLimits, lines: int) -> None:
    """Whether a batch of so many lines may come in. Raises QueueFullError."""
    active, queued = _sizes(connection)
    if active >= limits.max_active_batches:
        raise QueueFullError(
            f"{active} batches are active, {limits.max_active_batches} may be: wait until one ends, or cancel one."
        )
    if queued + lines > limits.max_queued_requests:
        raise QueueFullError(
            f"{queued} requests are queued and this batch has {lines}; {limits.max_queued_requests} may be "
            "queued: wait for room, or submit a smaller batch."
        )


@dataclass(frozen=True, slots=True)
class QueueState:
    """`oldest_created_at` is when the batch that has waited longest was submitted; None when none waits."""

    active_batches: int
    queued_requests: int
    oldest_created_at: float | None


def queue_state(database: Database) -> QueueState:
    oldest = select(func.min(batches.c.created_at)).where(batches.c.status == BatchStatus.QUEUED)
    with database.read() as connection:
        active, queued = _sizes(connection)
        return QueueState(active, queued, connection.execute(oldest).scalar_one())


def _sizes(connection: Connection) -> tuple[int, int]:
    active = batches.c.status.in_(ACTIVE_BATCH_STATES)
    unanswered = (
        select(func.count())
        .select_from(batches.join(requests, requests.c.batch_id == batches.c.id))
        .where(active, requests.c.status.in_(UNANSWERED))
    )
    count = select(func.count()).select_from(batches).where(active)
    return connection.execute(count).scalar_one(), connection.execute(unanswered).scalar_one()
