"""A worker that was paused past its lease wakes up: whatever it tries, it fails and changes nothing."""

from collections.abc import Callable

import pytest

from batch_app.database import Database
from batch_app.errors import ClaimLostError
from batch_app.files import Place
from batch_app.states import BatchStatus
from batch_app.store import batches, claims, requests
from batch_app.store.claims import Claim
from batch_app.store.requests import Postponement
from tests.factories import (
    NOW,
    accept,
    answer,
    claim,
    end,
    everything,
    ledger,
    lose,
    new_file,
    outcome,
    start_worker,
    take,
)

Deed = Callable[[Database, Claim], object]


def record(database: Database, late: Claim) -> None:
    requests.record(database, claim=late, outcomes=[(outcome(1), Place("output", 0, 10))], now=NOW)


def record_nothing(database: Database, late: Claim) -> None:
    requests.record(database, claim=late, outcomes=[], now=NOW)


def postpone(database: Database, late: Claim) -> None:
    later = [Postponement(1, attempts=1, retry_at=NOW)]
    requests.record(database, claim=late, outcomes=[], postponements=later, now=NOW)


def bury(database: Database, late: Claim) -> None:
    ended = [(outcome(1, dead_letter="why", error_code="e"), Place("output", 0, 10))]
    requests.record(database, claim=late, outcomes=ended, now=NOW)


def take_suspect(database: Database, late: Claim) -> None:
    requests.take_suspect(database, claim=late, from_engine_deaths=0)


def take_remaining(database: Database, late: Claim) -> None:
    requests.take_remaining(database, claim=late, limit=10)


def return_running(database: Database, late: Claim) -> None:
    requests.return_running(database, claim=late)


def return_lines(database: Database, late: Claim) -> None:
    requests.return_lines(database, claim=late, lines=[1], after_engine_death=True)


def forget_answers(database: Database, late: Claim) -> None:
    requests.forget_answers(database, claim=late, kind="output", from_offset=0)


def begin_finalizing(database: Database, late: Claim) -> None:
    claims.begin_finalizing(database, claim=late, now=NOW)


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
    publish,
]


@pytest.fixture(params=DEEDS, ids=[deed.__name__ for deed in DEEDS])
def deed(request: pytest.FixtureRequest) -> Deed:
    """Everything that a worker can do to a batch it has claimed."""
    found: Deed = request.param
    return found


def fails_and_changes_nothing(database: Database, late: Claim, deed: Deed) -> None:
    before = everything(database)
    with pytest.raises(ClaimLostError):
        deed(database, late)
    assert everything(database) == before


def test_a_late_worker_cannot_touch_a_batch_that_another_has_taken_over(
    database: Database, deed: Deed
) -> None:
    batch = accept(database)
    late = claim(database, batch)
    lose(database, late)
    take(database, claim(database, batch))
    fails_and_changes_nothing(database, late, deed)


def test_a_late_worker_cannot_touch_a_batch_that_nobody_has_taken_over_yet(
    database: Database, deed: Deed
) -> None:
    late = claim(database, accept(database))
    take(database, late)
    lose(database, late)
    fails_and_changes_nothing(database, late, deed)


def test_a_worker_cannot_go_on_with_a_claim_that_it_has_itself_renewed(
    database: Database, deed: Deed
) -> None:
    batch, worker = accept(database), start_worker(database)
    late = claim(database, batch, worker_id=worker)
    claims.release_claim(database, claim=late)
    take(database, claim(database, batch, worker_id=worker))
    fails_and_changes_nothing(database, late, deed)


def test_a_late_worker_cannot_touch_a_batch_that_has_ended(database: Database, deed: Deed) -> None:
    batch = accept(database)
    late = claim(database, batch)
    lose(database, late)
    present = claim(database, batch)
    answer(database, present, *(line.line for line in take(database, present)))
    claims.begin_finalizing(database, claim=present, now=NOW)
    end(database, present, BatchStatus.COMPLETED)
    fails_and_changes_nothing(database, late, deed)


def test_a_late_worker_gives_back_only_what_is_still_its_own(database: Database) -> None:
    batch = accept(database)
    late = claim(database, batch)
    lose(database, late)
    present = claim(database, batch)
    take(database, present)
    before = everything(database)
    claims.release_claim(database, claim=late)
    assert everything(database) == before
    assert batches.get_batch(database, batch_id=batch.id).worker_id == present.worker_id


def test_a_claim_reaches_no_other_batch_of_its_worker(database: Database) -> None:
    mine, other = accept(database), accept(database)
    worker = start_worker(database)
    held = claim(database, mine, worker_id=worker)
    take(database, claim(database, other, worker_id=worker))
    take(database, held)
    requests.return_lines(database, claim=held, lines=[1, 2, 3], after_engine_death=True)
    claims.release_claim(database, claim=held)
    assert ledger(database, other, "status", "engine_deaths") == [("running", 0)] * 3
