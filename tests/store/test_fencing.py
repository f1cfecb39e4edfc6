"""A worker that was paused past its lease wakes up: whatever it tries, it fails and changes nothing."""

import pytest

from batch_app.database import Database
from batch_app.errors import ClaimLostError
from batch_app.states import BatchStatus
from batch_app.store import batches, claims, request_writes
from batch_app.store.claims import Claim
from tests.deeds import DEEDS, Deed
from tests.factories import (
    NOW,
    accept,
    answer,
    claim,
    end,
    everything,
    ledger,
    lose,
    start_worker,
    take,
)


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
    request_writes.return_requests(database, claim=held, lines=[1, 2, 3], after_engine_death=True)
    claims.release_claim(database, claim=held)
    assert ledger(database, other, "status", "engine_deaths") == [("running", 0)] * 3
