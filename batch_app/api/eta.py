"""How fast batches get on, and when they will be done: one that runs by its own rate, one that waits by the rate of
all that run and the turns of other models."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from batch_app.database import Database
from batch_app.states import BatchStatus
from batch_app.store import progress
from batch_app.store.batches import Batch
from batch_app.store.progress import Pace

RATE_SECONDS = 60.0

Range = tuple[float, float]


@dataclass(frozen=True)
class Speed:
    """Requests a second, over the last minute and over the whole run so far. None: nothing was answered, or nobody
    has begun."""

    recent: float | None
    overall: float | None


def elapsed_seconds(batch: Batch, now: float) -> float | None:
    """From its start to its end, or to now."""
    if batch.in_progress_at is None:
        return None
    ends = (batch.completed_at, batch.failed_at, batch.expired_at, batch.cancelled_at, now)
    end = next(moment for moment in ends if moment is not None)
    return max(end - batch.in_progress_at, 0.0)


def window_seconds(elapsed: float | None) -> float:
    """What the rates of the last minute are over, for a batch that has run for so long."""
    return min(RATE_SECONDS, max(elapsed or 0.0, 1.0))


def speed_of(batch: Batch, *, answered: int, pace: Pace | None, now: float) -> Speed:
    """`pace` is that of the last minute, `answered` counts all that will not run again."""
    elapsed = elapsed_seconds(batch, now)
    return Speed(
        recent=pace.requests / window_seconds(elapsed) if pace else None,
        overall=answered / elapsed if elapsed else None,
    )


def eta(remaining: int, speed: Speed) -> Range | None:
    """A range for the time that is left: what the last minute's rate says and what the whole run's says."""
    each = _seconds_each(speed)
    if each is None or remaining <= 0:
        return None
    return round(remaining * each[0], 1), round(remaining * each[1], 1)


def _seconds_each(speed: Speed) -> Range | None:
    """What a request takes, at the faster and at the slower of the two rates."""
    rates = [rate for rate in (speed.recent, speed.overall) if rate]
    return (1 / max(rates), 1 / min(rates)) if speed.recent else None


def queue_etas(
    database: Database, open_batches: Sequence[Batch], *, turn_seconds: float, now: float
) -> dict[str, Range]:
    """When each waiting batch will be done if requests are answered as fast as those of now. Nobody can tell while
    nothing is: then there is none. How long a model takes to load nobody knows either, and it is not counted."""
    working = [
        batch for batch in open_batches if batch.status in (BatchStatus.QUEUED, BatchStatus.IN_PROGRESS)
    ]
    left = progress.unanswered_of(database, batch_ids=[batch.id for batch in working])
    running = [batch for batch in working if batch.status is BatchStatus.IN_PROGRESS]
    each = _seconds_each(_speed_together(database, running, left, now))
    if each is None:
        return {}
    waiting = [batch for batch in working if batch.status is BatchStatus.QUEUED]
    return {batch.id: _waiting_eta(batch, working, left, each, turn_seconds) for batch in waiting}


def _waiting_eta(
    batch: Batch, working: Sequence[Batch], left: dict[str, int], each: Range, turn_seconds: float
) -> Range:
    """At best its model's turn is next. At worst every other model has one, or all of its work, before each turn that
    this one needs."""
    lines = 0
    of_others = Counter[str]()
    for other in working:
        if other.served_model == batch.served_model:
            lines += _lines_between(batch, other, left)
        else:
            of_others[other.served_model] += left.get(other.id, 0)
    soonest, latest = lines * each[0], lines * each[1]
    longest_wait = math.ceil(latest / turn_seconds) * turn_seconds
    latest += sum(min(count * each[1], longest_wait) for count in of_others.values())
    return round(soonest, 1), round(latest, 1)


def _lines_between(batch: Batch, other: Batch, left: dict[str, int]) -> int:
    """How many lines of a batch of its model the engine gets before the last one of this batch: batches of the same
    priority take turns, line by line. Its own are among them."""
    if other.priority == batch.priority:
        return min(left.get(other.id, 0), left.get(batch.id, 0))
    return left.get(other.id, 0) if other.priority > batch.priority else 0


def _speed_together(database: Database, running: Sequence[Batch], left: dict[str, int], now: float) -> Speed:
    """Of those that got answers in the last minute; others are in progress too, but their model is not loaded."""
    paces = progress.pace_of(database, batch_ids=[batch.id for batch in running], since=now - RATE_SECONDS)
    speeds = [
        speed_of(batch, answered=batch.total_requests - left.get(batch.id, 0), pace=paces[batch.id], now=now)
        for batch in running
        if batch.id in paces
    ]
    return Speed(
        recent=sum(speed.recent or 0 for speed in speeds), overall=sum(speed.overall or 0 for speed in speeds)
    )
