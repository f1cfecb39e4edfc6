"""A batch is accepted whole or not at all, within the limits, and once per Idempotency-Key."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.exc import IntegrityError

from batch_app.database import Database
from batch_app.errors import BatchNotFoundError, IdempotencyKeyReusedError, QueueFullError
from batch_app.input.request_lines import LineError
from batch_app.input.scan import ScannedRequest
from batch_app.states import BatchStatus, RequestStatus
from batch_app.store import admission, batch_insert, batches
from batch_app.store.admission import QueueLimits
from batch_app.store.files import get_file
from batch_app.store.idempotency import IDEMPOTENCY_SECONDS
from batch_app.store.request_reads import list_dead_letters
from tests.factories import (
    NOW,
    ROOM,
    accept,
    answer,
    claim,
    complete,
    everything,
    ledger,
    new_batch,
    new_file,
    take,
)


def tight(*, batches: int = 1_000, requests: int = 1_000_000) -> QueueLimits:
    return QueueLimits(max_active_batches=batches, max_queued_requests=requests)


def test_an_accepted_batch_is_queued_with_its_file_and_every_line_pending(database: Database) -> None:
    batch = accept(database, lines=3, metadata={"team": "a"}, priority=5, expires_at=NOW + 60)
    assert batch == batches.get_batch(database, batch_id=batch.id)
    assert (batch.status, batch.total_requests, batch.created_at) == (BatchStatus.QUEUED, 3, NOW)
    assert (batch.metadata, batch.priority, batch.expires_at) == ({"team": "a"}, 5, NOW + 60)
    rows = ledger(database, batch, "line", "custom_id", "status", "input_offset", "input_length")
    assert rows == [(n, f"candidate-{n}", "pending", (n - 1) * 100, 99) for n in (1, 2, 3)]
    file = get_file(database, file_id=batch.input_file_id)
    assert file is not None
    assert (file.purpose, file.created_at) == ("batch", NOW)


def test_a_batch_that_cannot_be_inserted_whole_leaves_nothing_behind(database: Database) -> None:
    before = everything(database)
    twice = [ScannedRequest(1, "same", 0, 10), ScannedRequest(2, "same", 10, 10)]
    with pytest.raises(IntegrityError):
        batch_insert.accept_batch(
            database, batch=new_batch(), file=new_file(), lines=twice, limits=ROOM, now=NOW
        )
    assert everything(database) == before


def test_one_batch_too_many_is_refused_and_leaves_nothing_behind(database: Database) -> None:
    for _ in range(2):
        accept(database, limits=tight(batches=2))
    before = everything(database)
    with pytest.raises(QueueFullError, match="2 batches are active, 2 may be"):
        accept(database, limits=tight(batches=2))
    assert everything(database) == before


def test_one_line_too_many_is_refused_and_leaves_nothing_behind(database: Database) -> None:
    accept(database, lines=6, limits=tight(requests=10))
    before = everything(database)
    with pytest.raises(QueueFullError, match="6 requests are queued and this batch has 5; 10 may be"):
        accept(database, lines=5, limits=tight(requests=10))
    assert everything(database) == before
    accept(database, lines=4, limits=tight(requests=10))


def test_answered_lines_and_ended_batches_make_room(database: Database) -> None:
    batch = accept(database, lines=6)
    held = claim(database, batch)
    answer(database, held, *(line.line for line in take(database, held, limit=4)))
    accept(database, lines=8, limits=tight(requests=10))
    complete(database, accept(database, lines=5))
    accept(database, lines=1, limits=tight(batches=3))


def test_a_batch_that_is_being_cancelled_makes_room_at_once(database: Database) -> None:
    batch = accept(database, lines=10)
    batches.request_cancel(database, batch_id=batch.id, now=NOW)
    accept(database, lines=10, limits=tight(batches=1, requests=10))


@pytest.mark.parametrize("limits", [tight(batches=5), tight(requests=15)], ids=["batches", "lines"])
def test_twenty_senders_at_once_never_exceed_a_limit(database: Database, limits: QueueLimits) -> None:
    def send(_: int) -> bool:
        try:
            accept(database, lines=3, limits=limits)
        except QueueFullError:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        accepted = list(pool.map(send, range(20)))
    assert accepted.count(True) == 5
    state = admission.queue_state(database)
    assert (state.active_batches, state.queued_requests) == (5, 15)


def test_the_same_request_sent_twice_makes_one_batch(database: Database) -> None:
    first = accept(database, idempotency_key="k", request_digest="d")
    before = everything(database)
    assert accept(database, idempotency_key="k", request_digest="d", now=NOW + 60) == first
    assert everything(database) == before


def test_twenty_senders_of_the_same_request_make_one_batch(database: Database) -> None:
    with ThreadPoolExecutor(20) as pool:
        made = list(
            pool.map(lambda _: accept(database, idempotency_key="k", request_digest="d").id, range(20))
        )
    assert len(set(made)) == 1
    assert len(everything(database)["batches"]) == 1


def test_a_known_key_is_answered_even_when_the_queue_is_full(database: Database) -> None:
    first = accept(database, idempotency_key="k", request_digest="d")
    again = accept(database, idempotency_key="k", request_digest="d", limits=tight(batches=1))
    assert again.id == first.id


def test_a_key_used_for_another_request_is_refused(database: Database) -> None:
    first = accept(database, idempotency_key="k", request_digest="d")
    before = everything(database)
    with pytest.raises(IdempotencyKeyReusedError, match=first.id):
        accept(database, idempotency_key="k", request_digest="other")
    assert everything(database) == before


def test_a_key_is_forgotten_after_a_day(database: Database) -> None:
    first = accept(database, idempotency_key="k", request_digest="d")
    kept = accept(database, idempotency_key="k", request_digest="d", now=NOW + IDEMPOTENCY_SECONDS)
    later = accept(database, idempotency_key="k", request_digest="other", now=NOW + IDEMPOTENCY_SECONDS + 1)
    assert (kept.id == first.id, later.id == first.id) == (True, False)


def test_requests_without_a_key_are_all_different(database: Database) -> None:
    assert accept(database, request_digest="d").id != accept(database, request_digest="d").id


def test_a_retry_is_written_on_the_dead_letters_of_its_parent(database: Database) -> None:
    batch, other = accept(database, lines=2), accept(database, lines=1)
    for parent in (batch, other):
        complete(database, parent, status=RequestStatus.FAILED, error_code="e", dead_letter="why")
    retry = accept(database, lines=2, parent_batch_id=batch.id)
    again = accept(database, lines=2, parent_batch_id=batch.id, now=NOW + 1)
    letters = list_dead_letters(database, batch_id=batch.id, after=0, limit=10)
    assert [letter["retried_by_batch_id"] for letter in letters] == [retry.id, retry.id]
    [untouched] = list_dead_letters(database, batch_id=other.id, after=0, limit=10)
    assert untouched["retried_by_batch_id"] is None
    assert batches.retries_of(database, batch_ids=[batch.id, other.id]) == {batch.id: [retry.id, again.id]}


def test_a_batch_refused_before_it_began_is_final_and_says_why(database: Database) -> None:
    errors = [
        LineError(0, "invalid_request", "no such file", "file_id"),
        LineError(3, "invalid_url", "bad", "url"),
    ]
    batch = batch_insert.create_failed_batch(database, batch=new_batch(), errors=errors, now=NOW)
    assert (batch.status, batch.failed_at, batch.total_requests) == (BatchStatus.FAILED, NOW, 0)
    assert batch.errors == [
        {"code": "invalid_request", "message": "no such file", "param": "file_id", "line": None},
        {"code": "invalid_url", "message": "bad", "param": "url", "line": 3},
    ]


def test_a_refused_request_sent_twice_makes_one_failed_batch(database: Database) -> None:
    error = LineError(0, "invalid_request", "no such file", "file_id")
    made = [
        batch_insert.create_failed_batch(
            database, batch=new_batch(idempotency_key="k", request_digest="d"), errors=[error], now=NOW
        )
        for _ in range(2)
    ]
    assert made[0] == made[1]
    with pytest.raises(IdempotencyKeyReusedError):
        accept(database, idempotency_key="k", request_digest="other")


def test_an_unknown_batch_is_named(database: Database) -> None:
    with pytest.raises(BatchNotFoundError, match="batch_nobody"):
        batches.get_batch(database, batch_id="batch_nobody")
