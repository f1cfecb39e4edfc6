"""Who works on a batch: one worker at a time, and after a crash the next one from where it was."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from batch_app.database import Database
from batch_app.states import BatchStatus, RequestStatus
from batch_app.store import batches, claims, request_writes
from batch_app.store.claims import Claim
from tests.factories import (
    ANSWER_BYTES,
    NOW,
    accept,
    answer,
    claim,
    complete,
    ledger,
    lose,
    postpone,
    start_worker,
    take,
)


def try_to_claim(database: Database, batch_id: str, *, now: float = NOW) -> Claim | None:
    return claims.claim_batch(database, batch_id=batch_id, worker_id=start_worker(database), now=now)


def test_a_claim_starts_a_queued_batch(database: Database) -> None:
    batch = accept(database, now=NOW)
    held = claim(database, batch, now=NOW + 5)
    assert (held.epoch, held.output_end, held.error_end) == (1, 0, 0)
    begun = batches.get_batch(database, batch_id=batch.id)
    assert (begun.status, begun.in_progress_at) == (BatchStatus.IN_PROGRESS, NOW + 5)
    assert (begun.worker_id, begun.claim_epoch) == (held.worker_id, 1)


def test_a_batch_is_claimed_by_one_worker_only(database: Database) -> None:
    batch = accept(database)
    workers_at_once = [start_worker(database) for _ in range(10)]
    with ThreadPoolExecutor(10) as pool:
        taken = list(
            pool.map(
                lambda worker: claims.claim_batch(database, batch_id=batch.id, worker_id=worker, now=NOW),
                workers_at_once,
            )
        )
    assert sum(claimed is not None for claimed in taken) == 1


def test_a_batch_that_has_ended_or_never_was_cannot_be_claimed(database: Database) -> None:
    assert try_to_claim(database, complete(database, accept(database)).id) is None
    assert try_to_claim(database, "batch_nobody") is None


def test_a_queued_batch_that_is_claimed_to_be_ended_does_not_begin(database: Database) -> None:
    batch, worker_id = accept(database), start_worker(database)
    assert claims.claim_batch(database, batch_id=batch.id, worker_id=worker_id, only_to_end=True, now=NOW)
    claimed = batches.get_batch(database, batch_id=batch.id)
    assert (claimed.status, claimed.in_progress_at) == (BatchStatus.QUEUED, None)


@pytest.mark.parametrize("state", [BatchStatus.CANCELLING, BatchStatus.FINALIZING, BatchStatus.IN_PROGRESS])
def test_a_claim_leaves_a_batch_that_has_begun_in_its_state(database: Database, state: BatchStatus) -> None:
    batch = accept(database, lines=1)
    held = claim(database, batch)
    if state is BatchStatus.CANCELLING:
        batches.request_cancel(database, batch_id=batch.id, now=NOW)
    if state is BatchStatus.FINALIZING:
        answer(database, held, *(line.line for line in take(database, held)))
        claims.begin_finalizing(database, claim=held, now=NOW)
    lose(database, held)
    claim(database, batch, now=NOW + 60)
    claimed = batches.get_batch(database, batch_id=batch.id)
    assert (claimed.status, claimed.in_progress_at, claimed.claim_epoch) == (state, NOW, 2)


def test_the_next_claim_finds_unanswered_lines_pending_and_answered_ones_done(database: Database) -> None:
    batch = accept(database, lines=4)
    crashed = claim(database, batch)
    take(database, crashed, limit=3)
    answer(database, crashed, 1)
    answer(database, crashed, 2, status=RequestStatus.FAILED, error_code="e")
    lose(database, crashed)
    assert ledger(database, batch, "status") == ["completed", "failed", "pending", "pending"]
    taken_over = claim(database, batch)
    assert (taken_over.output_end, taken_over.error_end) == (ANSWER_BYTES, ANSWER_BYTES)
    assert [line.line for line in take(database, taken_over)] == [3, 4]


def test_a_batch_that_is_given_back_can_be_claimed_with_its_lines_pending(database: Database) -> None:
    batch = accept(database, lines=2)
    held = claim(database, batch)
    take(database, held)
    claims.release_claim(database, claim=held)
    assert ledger(database, batch, "status") == ["pending", "pending"]
    assert claim(database, batch).epoch == 2


def test_attempts_and_deaths_survive_a_crash(database: Database) -> None:
    batch = accept(database, lines=2)
    crashed = claim(database, batch)
    take(database, crashed)
    postpone(database, crashed, 1, retry_at=NOW)
    request_writes.return_requests(database, claim=crashed, lines=[2], after_engine_death=True)
    lose(database, crashed)
    found = take(database, claim(database, batch))
    assert [(line.attempts, line.engine_deaths) for line in found] == [(1, 0), (0, 1)]
