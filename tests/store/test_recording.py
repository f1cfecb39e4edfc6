"""Lines get their ends: all of a group or none, once, and only lines that are being worked on."""

import pytest
from sqlalchemy.exc import IntegrityError

from batch_app.database import Database
from batch_app.disk.files import Place
from batch_app.errors import ClaimLostError
from batch_app.states import RequestStatus
from batch_app.store import request_writes
from batch_app.store.request_reads import list_dead_letters
from batch_app.store.request_writes import ScheduledRetry
from tests.factories import NOW, accept, answer, claim, everything, ledger, outcome, postpone, take


def test_an_answer_is_recorded_with_its_place_and_what_it_cost(database: Database) -> None:
    batch = accept(database, lines=2)
    held = claim(database, batch)
    take(database, held)
    ended = outcome(2, attempts=3, finish_reason="stop", input_tokens=5, cached_tokens=4, output_tokens=6)
    request_writes.record_outcomes(
        database, claim=held, outcomes=[(ended, Place("output", 0, 40))], now=NOW + 7
    )
    columns = ("status", "attempts", "started_at", "finished_at", "status_code", "finish_reason")
    assert ledger(database, batch, *columns)[1] == ("completed", 3, NOW, NOW + 7, 200, "stop")
    columns = (
        "answer_kind",
        "answer_offset",
        "answer_length",
        "input_tokens",
        "cached_tokens",
        "output_tokens",
    )
    assert ledger(database, batch, *columns)[1] == ("output", 0, 40, 5, 4, 6)
    assert ledger(database, batch, "status") == ["running", "completed"]


def test_an_answer_is_recorded_once(database: Database) -> None:
    held = claim(database, accept(database, lines=1))
    take(database, held)
    answer(database, held, 1)
    before = everything(database)
    with pytest.raises(ClaimLostError, match="was not running"):
        answer(database, held, 1)
    assert everything(database) == before


@pytest.mark.parametrize("line", [2, 99], ids=["pending", "unknown"])
def test_one_line_that_is_not_running_spoils_the_whole_group(database: Database, line: int) -> None:
    held = claim(database, accept(database, lines=2))
    take(database, held, limit=1)
    before = everything(database)
    with pytest.raises(ClaimLostError):
        answer(database, held, 1, line)
    assert everything(database) == before


def test_a_group_that_the_database_refuses_in_part_is_refused_whole(database: Database) -> None:
    held = claim(database, accept(database, lines=2))
    take(database, held)
    before = everything(database)
    nonsense = [(outcome(1), Place("output", 0, 10)), (outcome(2), Place("error", 0, 10))]
    with pytest.raises(IntegrityError):
        request_writes.record_outcomes(database, claim=held, outcomes=nonsense, now=NOW)
    assert everything(database) == before


def test_ends_and_postponements_are_recorded_together(database: Database) -> None:
    batch = accept(database, lines=2)
    held = claim(database, batch)
    take(database, held)
    request_writes.record_outcomes(
        database,
        claim=held,
        outcomes=[(outcome(1), Place("output", 0, 10))],
        postponements=[ScheduledRetry(2, attempts=1, retry_at=NOW + 2)],
        now=NOW,
    )
    columns = ("status", "attempts", "retry_at", "first_failed_at")
    assert ledger(database, batch, *columns) == [("completed", 1, None, None), ("pending", 1, NOW + 2, NOW)]


def test_a_line_given_up_becomes_a_dead_letter_that_knows_its_first_failure(database: Database) -> None:
    batch = accept(database, lines=2)
    held = claim(database, batch)
    take(database, held)
    for attempt in range(3):
        postpone(database, held, 1, retry_at=NOW, now=NOW + attempt)
        take(database, held, now=NOW + attempt)
    given_up = {
        "status": RequestStatus.FAILED,
        "error_code": "server_error",
        "dead_letter": "out of attempts",
    }
    answer(database, held, 1, 2, now=NOW + 9, attempts=4, **given_up)
    first, second = list_dead_letters(database, batch_id=batch.id, after=0, limit=10)
    assert (first["code"], first["message"], first["attempts"]) == ("server_error", "out of attempts", 4)
    assert (first["first_failed_at"], first["last_failed_at"]) == (NOW, NOW + 9)
    assert (second["first_failed_at"], second["last_failed_at"]) == (NOW + 9, NOW + 9)


def test_a_line_that_failed_with_its_batch_is_no_dead_letter(database: Database) -> None:
    batch = accept(database, lines=1)
    held = claim(database, batch)
    take(database, held)
    answer(database, held, 1, status=RequestStatus.EXPIRED, error_code="batch_expired")
    assert list_dead_letters(database, batch_id=batch.id, after=0, limit=10) == []


def test_nothing_to_record_is_fine(database: Database) -> None:
    held = claim(database, accept(database))
    before = everything(database)
    request_writes.record_outcomes(database, claim=held, outcomes=[], now=NOW)
    assert everything(database) == before


def test_a_postponement_of_a_line_that_is_not_running_is_a_conflict_and_never_silence(
    database: Database,
) -> None:
    held = claim(database, accept(database, lines=2))
    take(database, held, limit=1)
    answer(database, held, 1)
    before = everything(database)
    for line in (1, 2):
        with pytest.raises(ClaimLostError):
            postpone(database, held, line, retry_at=NOW)
    assert everything(database) == before
