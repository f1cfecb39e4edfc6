"""How long requests took, from the engine's getting them to their answer's being on the disk, as a histogram."""

from dataclasses import dataclass
from math import inf
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, select
from sqlalchemy.dialects.sqlite import insert

from batch_app.database import Database
from batch_app.states import OPEN_BATCH_STATES
from batch_app.store.tables import batches, request_durations, requests

# Seconds. From an embedding on a GPU to a long answer on a CPU with a full window.
BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, inf)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Requests that took at most `up_to_seconds`, and more than those of the bucket below."""

    up_to_seconds: float
    requests: int
    seconds: float


def keep_durations(connection: Connection, *, batch_id: str) -> None:
    """Part of the transaction that ends the batch: from then on its ledger need not be read again."""
    statement = insert(request_durations)
    statement = statement.on_conflict_do_update(
        index_elements=["up_to_seconds"],
        set_={
            "requests": request_durations.c.requests + statement.excluded.requests,
            "seconds": request_durations.c.seconds + statement.excluded.seconds,
        },
    )
    if rows := _count(connection, requests.c.batch_id == batch_id):
        connection.execute(statement, rows)


def all_durations(database: Database) -> list[Bucket]:
    """Over every batch there ever was, every bucket, ascending."""
    open_ids = select(batches.c.id).where(batches.c.status.in_(OPEN_BATCH_STATES))
    with database.read() as connection:
        rows = [dict(row._mapping) for row in connection.execute(select(request_durations))]
        rows += _count(connection, requests.c.batch_id.in_(open_ids))
    found = {bound: [row for row in rows if row["up_to_seconds"] == bound] for bound in BUCKETS}
    return [
        Bucket(bound, sum(row["requests"] for row in of_it), sum(row["seconds"] for row in of_it))
        for bound, of_it in found.items()
    ]


def _count(connection: Connection, which: ColumnElement[bool]) -> list[dict[str, Any]]:
    """Requests that an engine worked on and that have their end, by bucket."""
    # SQLite's max of two is the larger one: where the clock was set back, no time rather than less than none.
    seconds = func.max(requests.c.finished_at - requests.c.started_at, 0.0)
    bucket = case(*((seconds <= bound, bound) for bound in BUCKETS)).label("up_to_seconds")
    query = (
        select(bucket, func.count().label("requests"), func.sum(seconds).label("seconds"))
        .where(which, requests.c.started_at.is_not(None), requests.c.finished_at.is_not(None))
        .group_by(bucket)
    )
    return [dict(row._mapping) for row in connection.execute(query)]
