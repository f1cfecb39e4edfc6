"""How a batch ends: cancelled on request, finalized when every line is answered, published in one moment."""

from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from batch_app.database import Database
from batch_app.errors import BatchNotCancellableError, BatchNotFoundError, ConflictError
from batch_app.states import FINAL_BATCH_STATES, OPEN_BATCH_STATES, BatchStatus, RequestStatus
from batch_app.store import batches, claims
from batch_app.store.batches import Batch
from batch_app.store.claims import Claim
from batch_app.store.files import get_file
from tests.factories import NOW, accept, answer, claim, complete, end, everything, new_file, take

ENDS = {
    (BatchStatus.QUEUED, BatchStatus.FAILED),
    (BatchStatus.QUEUED, BatchStatus.EXPIRED),
    (BatchStatus.IN_PROGRESS, BatchStatus.FAILED),
    (BatchStatus.IN_PROGRESS, BatchStatus.EXPIRED),
    (BatchStatus.FINALIZING, BatchStatus.COMPLETED),
    (BatchStatus.CANCELLING, BatchStatus.CANCELLED),
}


def answered(database: Database, **fields: Any) -> tuple[Batch, Claim]:
    """A batch in progress whose lines are all answered."""
    batch = accept(database, lines=2)
    held = claim(database, batch)
    answer(database, held, *(line.line for line in take(database, held)), **fields)
    return batch, held


def put_into(database: Database, state: BatchStatus) -> Claim:
    """A claimed batch in a state, its lines all answered."""
    _batch, held = answered(database)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE batches SET status = ?", (state,))
    return held


def test_a_batch_becomes_finalizing_only_when_every_line_is_answered(database: Database) -> None:
    batch = accept(database, lines=3)
    held = claim(database, batch)
    answer(database, held, *(line.line for line in take(database, held, limit=2)))
    assert not claims.begin_finalizing(database, claim=held, now=NOW)
    [last] = take(database, held)
    assert not claims.begin_finalizing(database, claim=held, now=NOW)
    answer(database, held, last.line)
    assert claims.begin_finalizing(database, claim=held, now=NOW + 5)
    finalizing = batches.get_batch(database, batch_id=batch.id)
    assert (finalizing.status, finalizing.finalizing_at) == (BatchStatus.FINALIZING, NOW + 5)
    assert (finalizing.output_file_id, finalizing.completed_requests) == (None, None)


def test_a_batch_begins_to_finalize_once(database: Database) -> None:
    _batch, held = answered(database)
    assert claims.begin_finalizing(database, claim=held, now=NOW)
    assert not claims.begin_finalizing(database, claim=held, now=NOW + 1)


def test_files_counts_usage_and_state_become_true_in_one_moment(database: Database) -> None:
    batch, held = answered(database, input_tokens=5, cached_tokens=4, output_tokens=3, reasoning_tokens=2)
    claims.begin_finalizing(database, claim=held, now=NOW)
    output, errors = (new_file(purpose="batch_output", filename=name) for name in ("out", "err"))
    end(database, held, BatchStatus.COMPLETED, output=output, errors=errors, now=NOW + 9)
    ended = batches.get_batch(database, batch_id=batch.id)
    assert (ended.status, ended.completed_at, ended.worker_id) == (BatchStatus.COMPLETED, NOW + 9, None)
    assert (ended.output_file_id, ended.error_file_id) == (output.id, errors.id)
    assert (ended.completed_requests, ended.failed_requests) == (2, 0)
    assert (ended.cancelled_requests, ended.expired_requests) == (0, 0)
    assert (ended.input_tokens, ended.cached_tokens) == (10, 8)
    assert (ended.output_tokens, ended.reasoning_tokens) == (6, 4)
    stored = get_file(database, file_id=output.id)
    assert stored is not None
    assert (stored.filename, stored.created_at) == ("out", NOW + 9)


def test_a_publication_that_fails_in_part_publishes_nothing(database: Database) -> None:
    _batch, held = answered(database)
    claims.begin_finalizing(database, claim=held, now=NOW)
    before = everything(database)
    with pytest.raises(IntegrityError):
        end(database, held, BatchStatus.COMPLETED, output=new_file(), errors=new_file(bytes=-1))
    assert everything(database) == before


@pytest.mark.parametrize("end_as", sorted(FINAL_BATCH_STATES))
@pytest.mark.parametrize("state", sorted(OPEN_BATCH_STATES))
def test_a_batch_ends_only_as_its_state_allows(
    database: Database, state: BatchStatus, end_as: BatchStatus
) -> None:
    held = put_into(database, state)
    before = everything(database)
    if (state, end_as) in ENDS:
        end(database, held, end_as, output=new_file())
        assert batches.get_batch(database, batch_id=held.batch_id).status is end_as
    else:
        with pytest.raises(ConflictError):
            end(database, held, end_as, output=new_file())
        assert everything(database) == before


def test_a_failed_batch_keeps_the_reason(database: Database) -> None:
    batch, held = answered(database, status=RequestStatus.FAILED, error_code="e")
    reason = {"code": "model_load_failed", "message": "no such folder", "param": None, "line": None}
    end(database, held, BatchStatus.FAILED, reasons=[reason])
    ended = batches.get_batch(database, batch_id=batch.id)
    assert (ended.errors, ended.failed_requests) == ([reason], 2)


def test_an_ended_batch_never_changes_again(database: Database) -> None:
    batch = complete(database, accept(database))
    before = everything(database)
    with pytest.raises(BatchNotCancellableError):
        batches.request_cancel(database, batch_id=batch.id, now=NOW + 1)
    assert everything(database) == before


@pytest.mark.parametrize("begun", [False, True], ids=["queued", "in progress"])
def test_a_cancelled_batch_is_cancelling_until_a_worker_has_ended_it(
    database: Database, *, begun: bool
) -> None:
    batch = accept(database, lines=2)
    held = claim(database, batch) if begun else None
    cancelling = batches.request_cancel(database, batch_id=batch.id, now=NOW + 3)
    assert (cancelling.status, cancelling.cancelling_at) == (BatchStatus.CANCELLING, NOW + 3)
    held = held or claim(database, batch)
    take(database, held)
    answer(database, held, 1, 2, status=RequestStatus.CANCELLED)
    end(database, held, BatchStatus.CANCELLED, now=NOW + 4)
    ended = batches.get_batch(database, batch_id=batch.id)
    assert (ended.status, ended.cancelled_at, ended.cancelling_at) == (
        BatchStatus.CANCELLED,
        NOW + 4,
        NOW + 3,
    )
    assert (ended.completed_requests, ended.cancelled_requests) == (0, 2)


def test_cancelling_again_changes_nothing(database: Database) -> None:
    batch = accept(database, lines=1)
    first = batches.request_cancel(database, batch_id=batch.id, now=NOW)
    assert batches.request_cancel(database, batch_id=batch.id, now=NOW + 5) == first
    held = claim(database, batch)
    take(database, held)
    answer(database, held, 1, status=RequestStatus.CANCELLED)
    end(database, held, BatchStatus.CANCELLED)
    assert batches.request_cancel(database, batch_id=batch.id, now=NOW + 9).status is BatchStatus.CANCELLED


def test_a_cancel_leaves_the_claim_and_the_lines_in_flight_alone(database: Database) -> None:
    batch = accept(database, lines=1)
    held = claim(database, batch)
    take(database, held)
    batches.request_cancel(database, batch_id=batch.id, now=NOW)
    answer(database, held, 1)
    assert batches.get_batch(database, batch_id=batch.id).worker_id == held.worker_id


@pytest.mark.parametrize(
    "state", [BatchStatus.FINALIZING, *sorted(FINAL_BATCH_STATES - {BatchStatus.CANCELLED})]
)
def test_a_batch_that_is_as_good_as_done_cannot_be_cancelled(database: Database, state: BatchStatus) -> None:
    batch, held = answered(database)
    if state in (BatchStatus.FINALIZING, BatchStatus.COMPLETED):
        claims.begin_finalizing(database, claim=held, now=NOW)
    if state is not BatchStatus.FINALIZING:
        end(database, held, state)
    before = everything(database)
    with pytest.raises(BatchNotCancellableError, match=f"is {state}"):
        batches.request_cancel(database, batch_id=batch.id, now=NOW)
    assert everything(database) == before


def test_an_unknown_batch_cannot_be_cancelled(database: Database) -> None:
    with pytest.raises(BatchNotFoundError):
        batches.request_cancel(database, batch_id="batch_nobody", now=NOW)
