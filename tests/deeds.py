"""Everything that a worker can do to a batch which it has claimed; with a claim that is over, each must fail."""

from collections.abc import Callable

from batch_app.database import Database
from batch_app.disk.files import Place
from batch_app.states import BatchStatus
from batch_app.store import claims, request_writes
from batch_app.store.claims import Claim
from batch_app.store.engine_usage import EngineUsage
from batch_app.store.request_writes import ScheduledRetry
from tests.factories import NOW, end, new_file, outcome, take, take_suspect

Deed = Callable[[Database, Claim], object]


def record(database: Database, late: Claim) -> None:
    request_writes.record_outcomes(
        database, claim=late, outcomes=[(outcome(1), Place("output", 0, 10))], now=NOW
    )


def record_nothing(database: Database, late: Claim) -> None:
    request_writes.record_outcomes(database, claim=late, outcomes=[], now=NOW)


def postpone(database: Database, late: Claim) -> None:
    later = [ScheduledRetry(1, attempts=1, retry_at=NOW)]
    request_writes.record_outcomes(database, claim=late, outcomes=[], postponements=later, now=NOW)


def bury(database: Database, late: Claim) -> None:
    ended = [(outcome(1, dead_letter="why", error_code="e"), Place("output", 0, 10))]
    request_writes.record_outcomes(database, claim=late, outcomes=ended, now=NOW)


def take_remaining(database: Database, late: Claim) -> None:
    request_writes.fetch_unanswered(database, claim=late, limit=10)


def return_running(database: Database, late: Claim) -> None:
    request_writes.return_running_requests(database, claim=late)


def return_lines(database: Database, late: Claim) -> None:
    request_writes.return_requests(database, claim=late, lines=[1], after_engine_death=True)


def forget_answers(database: Database, late: Claim) -> None:
    request_writes.requeue_answers(database, claim=late, kind="output", from_offset=0)


def begin_finalizing(database: Database, late: Claim) -> None:
    claims.begin_finalizing(database, claim=late, now=NOW)


def note_engine_use(database: Database, late: Claim) -> None:
    claims.save_engine_usage(database, claim=late, use=EngineUsage(seconds=1))


def publish(database: Database, late: Claim) -> None:
    end(database, late, BatchStatus.FAILED, output=new_file(purpose="batch_output"))


DEEDS: list[Deed] = [
    take,
    take_suspect,
    take_remaining,
    record,
    record_nothing,
    postpone,
    bury,
    return_running,
    return_lines,
    forget_answers,
    begin_finalizing,
    note_engine_use,
    publish,
]
