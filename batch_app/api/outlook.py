"""How fast batches get on, and when they will be done: one that runs by its own rate, one that waits by the rate of
all that run."""

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
    rates = [rate for rate in (speed.recent, speed.overall) if rate]
    if not speed.recent or remaining <= 0:
        return None
    return round(remaining / max(rates), 1), round(remaining / min(rates), 1)


def queue_etas(database: Database, open_batches: Sequence[Batch], *, now: float) -> dict[str, Range]:
    """When each waiting batch will be done if all that runs, all that waits ahead of it and then its own requests are
    answered as fast as those of now. Nobody can tell while nothing is: then there is none.

    `open_batches` are all there are, in the order they deserve to be worked on.
    """
    left = progress.unanswered_of(database, batch_ids=[batch.id for batch in open_batches])
    running = [batch for batch in open_batches if batch.status is BatchStatus.IN_PROGRESS]
    speed = _speed_together(database, running, left, now)
    ahead = sum(left.get(batch.id, 0) for batch in running)
    etas = {}
    for batch in open_batches:
        if batch.status is BatchStatus.QUEUED:
            ahead += left.get(batch.id, 0)
            if (found := eta(ahead, speed)) is not None:
                etas[batch.id] = found
    return etas


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
