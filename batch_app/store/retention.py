"""What is forgotten: ended batches with all that is told of them, uploads nobody used, workers of long ago.

Rows go first, in one transaction; their bytes when it returns. A crash between the two leaves files that nothing
names, which `batch_app.operations.leftovers` finds. What an unfinished batch needs is never touched.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, func, or_, select, update

from batch_app.database import Database
from batch_app.states import DeliveryStatus
from batch_app.store.tables import batches, dead_letters, events, files, requests, webhook_deliveries, workers

ENDED_AT = func.coalesce(
    batches.c.completed_at, batches.c.failed_at, batches.c.expired_at, batches.c.cancelled_at
)


@dataclass(frozen=True, slots=True)
class DeletedBatch:
    """A batch that is gone, and the files that went with it, relative to the data folder."""

    batch_id: str
    paths: list[str]


def delete_ended_batch(database: Database, *, ended_before: float) -> DeletedBatch | None:
    """The batch that ended longest ago; None when none ended before that moment. A batch whose webhooks are still on
    their way, or not even addressed, stays. Its input stays if another batch was made of the same file."""
    is_on_its_way = webhook_deliveries.c.status == DeliveryStatus.PENDING
    untold = (
        select(events.c.id)
        .join_from(events, webhook_deliveries, isouter=True)
        .where(events.c.batch_id == batches.c.id, or_(events.c.addressed_at.is_(None), is_on_its_way))
    )
    due = (
        select(batches.c.id, batches.c.input_file_id, batches.c.output_file_id, batches.c.error_file_id)
        .where(ended_before > ENDED_AT, ~untold.exists())
        .order_by(ENDED_AT)
        .limit(1)
    )
    with database.read() as connection:
        if connection.execute(due).one_or_none() is None:
            return None
    with database.write("forget_batch") as connection:
        row = connection.execute(due).one_or_none()
        if row is None:
            return None
        batch_id, *file_ids = row
        _forget_rows(connection, batch_id)
        return DeletedBatch(batch_id, _forget_files(connection, files.c.id.in_(file_ids)))


def _forget_rows(connection: Connection, batch_id: str) -> None:
    its_events = select(events.c.id).where(events.c.batch_id == batch_id)
    connection.execute(delete(webhook_deliveries).where(webhook_deliveries.c.event_id.in_(its_events)))
    for table in (events, requests, dead_letters):
        connection.execute(delete(table).where(table.c.batch_id == batch_id))
    # A retry may outlive the batch it came from, and the other way round.
    for link in (batches.c.parent_batch_id, dead_letters.c.retried_by_batch_id):
        connection.execute(update(link.table).where(link == batch_id).values({link.name: None}))
    connection.execute(delete(batches).where(batches.c.id == batch_id))


def delete_unused_files(database: Database, *, made_before: float) -> list[str]:
    """Files made before that moment which no batch names (any more). Returns their paths in the data folder."""
    which = files.c.created_at < made_before
    with database.read() as connection:
        if connection.execute(select(files.c.id).where(which, ~_named()).limit(1)).one_or_none() is None:
            return []
    with database.write("forget_files") as connection:
        return _forget_files(connection, which)


def _forget_files(connection: Connection, which: ColumnElement[bool]) -> list[str]:
    return list(connection.execute(delete(files).where(which, ~_named()).returning(files.c.path)).scalars())


def _named() -> ColumnElement[bool]:
    names = (batches.c.input_file_id, batches.c.output_file_id, batches.c.error_file_id)
    return select(batches.c.id).where(or_(*(name == files.c.id for name in names))).exists()


def delete_old_workers(database: Database, *, stopped_before: float) -> int:
    """How many incarnations that stopped, or were lost, before that moment."""
    old = (
        workers.c.stopped_at < stopped_before,
        ~select(batches.c.id).where(batches.c.worker_id == workers.c.id).exists(),
    )
    with database.read() as connection:
        if connection.execute(select(workers.c.id).where(*old).limit(1)).one_or_none() is None:
            return 0
    with database.write("forget_workers") as connection:
        return connection.execute(delete(workers).where(*old)).rowcount
