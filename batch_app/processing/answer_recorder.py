"""Answers become durable: log first, ledger second, never in another order.

A failing disk or a busy database loses nothing: answers stay in memory, in the window, until they are recorded.
"""

from collections.abc import Sequence

from batch_app.database import Database
from batch_app.disk.files import KINDS, Place
from batch_app.processing.claimed_batch import ClaimedBatch, LoggedAnswers
from batch_app.processing.outcomes import (
    ENGINE_CRASHED,
    FinalAnswer,
    RetryPolicy,
    copy_answer,
    decide,
    give_up,
)
from batch_app.states import RequestStatus
from batch_app.store import request_writes
from batch_app.store.request_writes import Outcome, ScheduledRetry

_CONVICTED = "The engine died each time it worked on this request, the last time on it alone."
_COPIED_BYTES = 4 * 1024 * 1024  # copies in memory at once, whatever the number of copies


def record_arrivals(database: Database, run: ClaimedBatch, rule: RetryPolicy, *, now: float) -> None:
    """Record everything that has arrived for a run. Runs in a thread; more may arrive meanwhile.

    Raises ClaimLostError; OSError or SQLAlchemyError when the disk or the database refuses: call again later.
    """
    flush(database, run, now=now)
    arrivals = run.arrived[:]
    convicted = run.convicted[:]
    settled = [decide(run.id, arrival, rule, now) for arrival in arrivals]
    settled.extend(
        give_up(run.id, line, code=ENGINE_CRASHED, message=_CONVICTED, status=RequestStatus.FAILED)
        for line in convicted
    )
    ended = [item for item in settled if isinstance(item, FinalAnswer)]
    record_copies(database, run, ended, now=now)
    append(run, ended, [item for item in settled if isinstance(item, ScheduledRetry)])
    del run.arrived[: len(arrivals)], run.convicted[: len(convicted)]
    flush(database, run, now=now)


def record_copies(database: Database, run: ClaimedBatch, ended: Sequence[FinalAnswer], *, now: float) -> None:
    """Give the copies of these lines their ends, before the lines themselves get theirs: whenever this breaks off,
    a line without an end will come again, and its remaining copies with it.

    Raises as `record_arrivals`.
    """
    if not run.batch.deduplicate or not ended:
        return
    originals = {item.outcome.line: item for item in ended}
    at_once = max(_COPIED_BYTES // max(len(item.text) for item in ended), 1)
    while lines := request_writes.fetch_copies(database, claim=run.claim, of=originals, limit=at_once):
        append(run, [copy_answer(run.id, originals[line.copy_of or 0], line) for line in lines])
        flush(database, run, now=now)


def append(run: ClaimedBatch, ended: Sequence[FinalAnswer], postponed: Sequence[ScheduledRetry] = ()) -> None:
    """Put answers on the disk, to be flushed into the ledger. Raises OSError, and then nothing has happened."""
    sizes = {kind: log.size for kind, log in run.logs.items()}
    pairs: list[tuple[Outcome, Place]] = []
    try:
        for kind in KINDS:
            if of_kind := [item for item in ended if item.kind == kind]:
                places = run.logs[kind].append([item.text for item in of_kind])
                pairs.extend(zip((item.outcome for item in of_kind), places, strict=True))
    except OSError:
        for kind, size in sizes.items():
            run.logs[kind].cut_to(size)
        raise
    run.unrecorded = LoggedAnswers(pairs, list(postponed))


def flush(database: Database, run: ClaimedBatch, *, now: float) -> None:
    """Record what the logs hold already. Until this succeeds nothing more may be appended."""
    if run.unrecorded:
        request_writes.record_outcomes(
            database,
            claim=run.claim,
            outcomes=run.unrecorded.outcomes,
            postponements=run.unrecorded.postponements,
            now=now,
        )
        run.unrecorded = LoggedAnswers()
