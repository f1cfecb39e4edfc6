"""Counts of an open batch are counted, those of an ended one are frozen, and both say the same."""

from dataclasses import replace

from batch_app.database import Database
from batch_app.states import BatchStatus, RequestStatus
from batch_app.store import admission, batches, progress
from batch_app.store.batches import Batch
from batch_app.store.progress import Counts, Pace, Totals
from tests.factories import NOW, accept, answer, claim, complete, end, postpone, take


def counts(database: Database, batch: Batch) -> Counts:
    batch = batches.get_batch(database, batch_id=batch.id)
    return progress.counts_of(database, found=[batch])[batch.id]


def mixed(database: Database) -> Batch:
    """In progress: two completed, one failed, one running, one pending; NOW and later."""
    batch = accept(database, lines=5)
    held = claim(database, batch)
    take(database, held, limit=4)
    answer(database, held, 1, 2, now=NOW + 1, input_tokens=5, output_tokens=3)
    given_up = {"status": RequestStatus.FAILED, "error_code": "e", "dead_letter": "why"}
    answer(database, held, 3, now=NOW + 2, input_tokens=5, **given_up)
    return batch


def test_counts_of_an_open_batch_are_counted_from_its_lines(database: Database) -> None:
    expected = Counts(pending=1, running=1, completed=2, failed=1, input_tokens=15, output_tokens=6)
    assert counts(database, mixed(database)) == expected


def test_counts_say_the_same_before_and_after_they_are_frozen(database: Database) -> None:
    batch = accept(database, lines=4)
    held = claim(database, batch)
    take(database, held)
    answer(database, held, 1, input_tokens=5, cached_tokens=4, output_tokens=3, reasoning_tokens=2)
    answer(database, held, 2, status=RequestStatus.FAILED, error_code="e")
    answer(database, held, 3, 4, status=RequestStatus.EXPIRED)
    counted = counts(database, batch)
    end(database, held, BatchStatus.EXPIRED)
    assert counts(database, batch) == counted == Counts(0, 0, 1, 1, 0, 2, 5, 4, 3, 2)


def test_frozen_counts_no_longer_ask_the_ledger(database: Database) -> None:
    batch = complete(database, accept(database, lines=3))
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM requests")
    assert counts(database, batch).completed == 3


def test_a_postponed_line_is_pending_and_its_failure_is_not_counted(database: Database) -> None:
    batch = accept(database, lines=1)
    held = claim(database, batch)
    take(database, held)
    postpone(database, held, 1, retry_at=NOW + 60)
    assert counts(database, batch) == Counts(pending=1)


def test_counts_of_many_batches_come_together(database: Database) -> None:
    found = [complete(database, accept(database, lines=2)), accept(database, lines=3)]
    by_id = progress.counts_of(database, found=found)
    assert [(by_id[batch.id].completed, by_id[batch.id].pending) for batch in found] == [(2, 0), (0, 3)]
    assert progress.counts_of(database, found=[]) == {}


def test_the_pace_counts_what_was_answered_since_a_moment(database: Database) -> None:
    batch, idle = mixed(database), accept(database)
    pace = progress.pace_of(database, batch_ids=[batch.id, idle.id], since=NOW)
    assert pace == {batch.id: Pace(requests=3, output_tokens=6)}
    assert progress.pace_of(database, batch_ids=[batch.id], since=NOW + 1) == {batch.id: Pace(1, 0)}
    assert progress.pace_of(database, batch_ids=[batch.id], since=NOW + 2) == {}


def test_unanswered_lines_are_those_that_wait_and_those_at_work(database: Database) -> None:
    batch, untouched, done = mixed(database), accept(database, lines=4), complete(database, accept(database))
    left = progress.unanswered_of(database, batch_ids=[batch.id, untouched.id, done.id])
    assert left == {batch.id: 2, untouched.id: 4}
    assert progress.unanswered_of(database, batch_ids=[]) == {}


def test_totals_cover_open_and_ended_batches_since_a_moment(database: Database) -> None:
    mixed(database)
    complete(database, accept(database, lines=4), now=NOW + 3)
    complete(database, accept(database, lines=4), now=NOW - 10)
    assert progress.totals_since(database, since=NOW) == Totals(answers=6, failed=1, dead_letters=1)
    assert progress.totals_since(database, since=NOW + 3) == Totals(0, 0, 0)


def test_all_time_totals_add_frozen_and_counted_ones_up(database: Database) -> None:
    assert progress.all_time_totals(database) == Counts()
    mixed(database)
    complete(database, accept(database, lines=4), input_tokens=1, output_tokens=2)
    expected = Counts(completed=6, failed=1, input_tokens=19, output_tokens=14)
    assert progress.all_time_totals(database) == expected


def test_the_queue_counts_what_may_still_cost_work(database: Database) -> None:
    mixed(database)
    complete(database, accept(database))
    cancelled = accept(database, lines=7)
    batches.request_cancel(database, batch_id=cancelled.id, now=NOW)
    state = admission.queue_state(database)
    assert (state.active_batches, state.queued_requests, state.oldest_created_at) == (1, 2, None)
    accept(database, lines=3, now=NOW + 8)
    accept(database, lines=3, now=NOW + 7)
    expected = replace(state, active_batches=3, queued_requests=8, oldest_created_at=NOW + 7)
    assert admission.queue_state(database) == expected


def test_batches_are_counted_by_their_state(database: Database) -> None:
    accept(database)
    complete(database, accept(database))
    assert batches.count_batches_by_status(database) == {BatchStatus.QUEUED: 1, BatchStatus.COMPLETED: 1}
