"""Every end of a batch leaves one event, and every receiver of that day one delivery of it."""

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from batch_app.database import Database
from batch_app.errors import ConflictError
from batch_app.input.request_lines import LineError
from batch_app.states import FINAL_BATCH_STATES, BatchStatus, DeliveryStatus
from batch_app.store import batch_insert, batches, claims, webhooks
from batch_app.store.tables import events
from tests.factories import NOW, accept, answer, claim, complete, end, new_batch, take

ONE, OTHER = "https://one.example/hook", "https://other.example/hook"


def event_types(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(events.c.type).order_by(events.c.created_at)).scalars())


def deliver(database: Database, url: str = ONE, *, status_code: int = 200) -> None:
    for delivery in webhooks.due_deliveries(database, url=url, now=NOW, limit=100):
        webhooks.record_attempt(
            database,
            delivery_id=delivery.id,
            status=DeliveryStatus.DELIVERED,
            status_code=status_code,
            error=None,
            next_attempt_at=None,
            now=NOW,
        )


def test_an_ended_batch_leaves_one_event(database: Database) -> None:
    batch = accept(database)
    assert event_types(database) == []
    complete(database, batch)
    assert event_types(database) == ["batch.completed"]


def test_a_batch_that_fails_before_it_begins_leaves_one_too(database: Database) -> None:
    errors = [LineError(1, "invalid_json_line", "This line is not JSON.", None)]
    batch_insert.create_failed_batch(database, batch=new_batch(), errors=errors, now=NOW)
    assert event_types(database) == ["batch.failed"]


def test_there_is_a_kind_of_event_for_every_end() -> None:
    assert {f"batch.{status}" for status in FINAL_BATCH_STATES} == {
        "batch.completed", "batch.failed", "batch.expired", "batch.cancelled"
    }  # fmt: skip


def test_an_end_that_is_refused_leaves_no_event(database: Database) -> None:
    held = claim(database, accept(database, lines=1))
    answer(database, held, *(line.line for line in take(database, held)))
    with pytest.raises(ConflictError):
        end(database, held, BatchStatus.COMPLETED)
    assert event_types(database) == []


def test_an_event_that_cannot_be_written_leaves_the_batch_open(database: Database) -> None:
    batch = accept(database, lines=1)
    held = claim(database, batch)
    answer(database, held, *(line.line for line in take(database, held)))
    claims.begin_finalizing(database, claim=held, now=NOW)
    with database.write() as connection:
        webhooks.insert_event(connection, batch_id=batch.id, status=BatchStatus.COMPLETED, now=NOW)
    with pytest.raises(IntegrityError):
        end(database, held, BatchStatus.COMPLETED)
    assert batches.get_batch(database, batch_id=batch.id).status is BatchStatus.FINALIZING


def test_each_receiver_gets_each_event_once(database: Database) -> None:
    ended = [complete(database, accept(database, now=NOW + n), now=NOW + n).id for n in range(2)]
    assert webhooks.create_deliveries(database, urls=[ONE, OTHER], now=NOW) == 2
    assert webhooks.create_deliveries(database, urls=[ONE, OTHER], now=NOW) == 0
    for url in (ONE, OTHER):
        due = webhooks.due_deliveries(database, url=url, now=NOW, limit=100)
        assert [(one.batch_id, one.event_type, one.attempts) for one in due] == [
            (batch_id, "batch.completed", 0) for batch_id in ended
        ]
    deliver(database, ONE)
    assert webhooks.due_deliveries(database, url=ONE, now=NOW, limit=100) == []
    assert len(webhooks.due_deliveries(database, url=OTHER, now=NOW, limit=100)) == 2


def test_a_receiver_of_today_is_not_told_of_yesterday(database: Database) -> None:
    complete(database, accept(database))
    webhooks.create_deliveries(database, urls=[], now=NOW)
    assert webhooks.create_deliveries(database, urls=[ONE], now=NOW) == 0
    assert webhooks.list_deliveries(database, limit=10) == []


def test_what_failed_comes_back_when_its_time_has_come(database: Database) -> None:
    complete(database, accept(database))
    webhooks.create_deliveries(database, urls=[ONE], now=NOW)
    [due] = webhooks.due_deliveries(database, url=ONE, now=NOW, limit=10)
    failed = {"status": DeliveryStatus.PENDING, "status_code": 503, "error": "HTTP 503"}
    webhooks.record_attempt(database, delivery_id=due.id, **failed, next_attempt_at=NOW + 5, now=NOW)
    assert webhooks.due_deliveries(database, url=ONE, now=NOW + 4.9, limit=10) == []
    [again] = webhooks.due_deliveries(database, url=ONE, now=NOW + 5, limit=10)
    assert (again.event_id, again.attempts, again.error) == (due.event_id, 1, "HTTP 503")


def test_deliveries_to_a_receiver_that_is_none_any_more_are_given_up(database: Database) -> None:
    complete(database, accept(database))
    webhooks.create_deliveries(database, urls=[ONE, OTHER], now=NOW)
    deliver(database, ONE)
    assert webhooks.abandon_removed_receivers(database, urls=[]) == 1
    other, one = webhooks.list_deliveries(database, limit=10)
    assert (one.status, one.error) == (DeliveryStatus.DELIVERED, None)
    assert (other.status, other.error) == (DeliveryStatus.FAILED, "no longer among BATCH_WEBHOOK_URLS")


def test_deliveries_are_listed_newest_first_page_by_page_and_filtered(database: Database) -> None:
    ended = [complete(database, accept(database, now=NOW + n), now=NOW + n).id for n in range(3)]
    webhooks.create_deliveries(database, urls=[ONE], now=NOW)
    first = webhooks.list_deliveries(database, limit=2)
    rest = webhooks.list_deliveries(database, limit=2, after=first[-1].id)
    assert [one.batch_id for one in [*first, *rest]] == ended[::-1]
    assert [one.batch_id for one in webhooks.list_deliveries(database, limit=9, batch_id=ended[1])] == [
        ended[1]
    ]
    assert webhooks.list_deliveries(database, limit=9, status=DeliveryStatus.DELIVERED) == []
    assert webhooks.count_deliveries(database) == {"pending": 3, "delivered": 0, "failed": 0}
