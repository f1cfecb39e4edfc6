"""What the ledger adds up to: counts, rates, totals. Reads only."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import func, or_, select

from batch_app.database import Database
from batch_app.states import OPEN_BATCH_STATES, RequestStatus
from batch_app.store.batches import UNANSWERED, Batch
from batch_app.store.claims import REUSED
from batch_app.store.retention import ENDED_AT
from batch_app.store.tables import batches, dead_letters, requests


@dataclass(frozen=True, slots=True)
class Counts:
    """Lines of a batch by state, and the tokens of those that are answered. `deduplicated` ones and those
    `from_cache` are among the completed, with no tokens of their own."""

    pending: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    deduplicated: int = 0
    from_cache: int = 0


def counts_of(database: Database, *, found: Sequence[Batch]) -> dict[str, Counts]:
    """Counts by batch id: frozen ones from the batch, open ones counted from the ledger."""
    counts = {batch.id: _frozen(batch) for batch in found if batch.completed_requests is not None}
    open_ids = [batch.id for batch in found if batch.id not in counts]
    return {**counts, **_counted(database, open_ids)}


def _frozen(batch: Batch) -> Counts:
    return Counts(
        completed=batch.completed_requests or 0,
        failed=batch.failed_requests or 0,
        cancelled=batch.cancelled_requests or 0,
        expired=batch.expired_requests or 0,
        input_tokens=batch.input_tokens or 0,
        cached_tokens=batch.cached_tokens or 0,
        output_tokens=batch.output_tokens or 0,
        reasoning_tokens=batch.reasoning_tokens or 0,
        deduplicated=batch.deduplicated_requests or 0,
        from_cache=batch.from_cache_requests or 0,
    )


def _counted(database: Database, ids: Sequence[str]) -> dict[str, Counts]:
    states = {str(status): func.count().filter(requests.c.status == status) for status in RequestStatus}
    names = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
    tokens = {name: func.sum(requests.c[name]) for name in names}
    reused = {name: func.count().filter(*which) for name, which in REUSED.items()}
    columns = [column.label(name) for name, column in {**states, **tokens, **reused}.items()]
    query = (
        select(requests.c.batch_id, *columns)
        .where(requests.c.batch_id.in_(ids))
        .group_by(requests.c.batch_id)
    )
    with database.read() as connection:
        rows = connection.execute(query).all() if ids else []
    return {row[0]: Counts(*(value or 0 for value in row[1:])) for row in rows}


def unanswered_of(database: Database, *, batch_ids: Collection[str]) -> dict[str, int]:
    """How many lines of each batch still want an answer; batches without any are left out. The index alone tells."""
    query = (
        select(requests.c.batch_id, func.count())
        .where(requests.c.batch_id.in_(batch_ids), requests.c.status.in_(UNANSWERED))
        .group_by(requests.c.batch_id)
    )
    with database.read() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


@dataclass(frozen=True, slots=True)
class Pace:
    """What a batch got done since a moment."""

    requests: int
    output_tokens: int


def pace_of(database: Database, *, batch_ids: Sequence[str], since: float) -> dict[str, Pace]:
    query = (
        select(requests.c.batch_id, func.count(), func.sum(requests.c.output_tokens))
        .where(
            requests.c.batch_id.in_(batch_ids),
            requests.c.status.in_([RequestStatus.COMPLETED, RequestStatus.FAILED]),
            requests.c.finished_at > since,
        )
        .group_by(requests.c.batch_id)
    )
    with database.read() as connection:
        return {row[0]: Pace(row[1], row[2] or 0) for row in connection.execute(query)}


@dataclass(frozen=True, slots=True)
class Totals:
    """Over all batches since a moment."""

    answers: int
    failed: int
    dead_letters: int


def totals_since(database: Database, *, since: float) -> Totals:
    """Batches that ended since then are counted if they have lines finished since then; the index serves it."""
    recent = select(batches.c.id).where(or_(batches.c.status.in_(OPEN_BATCH_STATES), since < ENDED_AT))
    finished = (
        select(requests.c.status, func.count())
        .where(
            requests.c.batch_id.in_(recent),
            requests.c.status.in_([RequestStatus.COMPLETED, RequestStatus.FAILED]),
            requests.c.finished_at > since,
        )
        .group_by(requests.c.status)
    )
    letters = select(func.count()).select_from(dead_letters).where(dead_letters.c.last_failed_at > since)
    with database.read() as connection:
        by_status = {row[0]: int(row[1]) for row in connection.execute(finished)}
        dead = connection.execute(letters).scalar_one()
    return Totals(by_status.get("completed", 0), by_status.get("failed", 0), dead)


def all_time_totals(database: Database) -> Counts:
    """Over every batch there is: frozen counts of the ended ones, counted ones of the open ones."""
    names = [name for name in Counts.__dataclass_fields__ if name not in ("pending", "running")]
    frozen = [
        func.coalesce(func.sum(batches.c[name if name.endswith("_tokens") else f"{name}_requests"]), 0)
        for name in names
    ]
    open_ids = select(batches.c.id).where(batches.c.status.in_(OPEN_BATCH_STATES))
    with database.read() as connection:
        ended = connection.execute(select(*frozen)).one()
        ids = list(connection.execute(open_ids).scalars())
    sums = dict(zip(names, ended, strict=True))
    for counts in _counted(database, ids).values():
        for name in names:
            sums[name] += getattr(counts, name)
    return Counts(**sums)
