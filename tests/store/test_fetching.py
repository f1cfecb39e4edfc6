"""Which lines a worker takes next, and what becomes of those that come back without an answer."""

from batch_app.database import Database
from batch_app.store import request_writes
from batch_app.store.request_writes import FetchedRequest
from tests.factories import NOW, accept, answer, claim, ledger, postpone, take, take_suspect


def numbers(lines: list[FetchedRequest]) -> list[int]:
    return [line.line for line in lines]


def test_lines_are_taken_in_input_order_and_once(database: Database) -> None:
    batch = accept(database, lines=5)
    held = claim(database, batch)
    assert [numbers(take(database, held, limit=2)) for _ in range(4)] == [[1, 2], [3, 4], [5], []]
    assert ledger(database, batch, "status") == ["running"] * 5


def test_a_taken_line_knows_where_its_input_lies(database: Database) -> None:
    [line] = take(database, claim(database, accept(database, lines=2)), limit=1)
    assert line == FetchedRequest(1, "candidate-1", 0, 99, 0, 0)


def test_answered_lines_are_not_taken_again(database: Database) -> None:
    batch = accept(database, lines=3)
    held = claim(database, batch)
    take(database, held, limit=2)
    answer(database, held, 1)
    request_writes.return_running_requests(database, claim=held)
    assert numbers(take(database, held)) == [2, 3]


def test_a_postponed_line_is_not_taken_before_its_time(database: Database) -> None:
    held = claim(database, accept(database, lines=2))
    take(database, held)
    postpone(database, held, 1, retry_at=NOW + 10)
    assert take(database, held, now=NOW + 9) == []
    [line] = take(database, held, now=NOW + 10)
    assert (line.line, line.attempts) == (1, 1)


def test_a_line_in_flight_when_the_engine_died_is_a_suspect_after_the_second_time(database: Database) -> None:
    held = claim(database, accept(database, lines=3))
    for _ in range(2):
        take(database, held, limit=1)
        request_writes.return_requests(database, claim=held, lines=[1], after_engine_death=True)
    assert numbers(take(database, held)) == [2, 3]
    suspect = take_suspect(database, held)
    assert suspect is not None
    assert (suspect.line, suspect.engine_deaths) == (1, 2)
    assert take_suspect(database, held) is None


def test_suspects_are_taken_one_at_a_time(database: Database) -> None:
    held = claim(database, accept(database, lines=2))
    for _ in range(2):
        take(database, held)
        request_writes.return_requests(database, claim=held, lines=[1, 2], after_engine_death=True)
    first = take_suspect(database, held)
    second = take_suspect(database, held)
    assert first is not None
    assert second is not None
    assert (first.line, second.line) == (1, 2)


def test_a_postponed_suspect_is_not_taken_before_its_time_unless_the_clock_was_set_back(
    database: Database,
) -> None:
    held = claim(database, accept(database, lines=1))
    for _ in range(2):
        take(database, held)
        request_writes.return_requests(database, claim=held, lines=[1], after_engine_death=True)
    assert take_suspect(database, held) is not None
    for due in (NOW - 3600, NOW + 10):
        postpone(database, held, 1, retry_at=NOW + 10)
        assert take_suspect(database, held, now=NOW + 9) is None
        assert take_suspect(database, held, now=due) is not None


def test_lines_that_come_back_for_no_fault_of_theirs_are_no_suspects(database: Database) -> None:
    batch = accept(database, lines=1)
    held = claim(database, batch)
    for _ in range(5):
        take(database, held)
        request_writes.return_requests(database, claim=held, lines=[1], after_engine_death=False)
    assert ledger(database, batch, "engine_deaths", "attempts") == [(0, 0)]
    assert len(take(database, held)) == 1


def test_only_running_lines_come_back(database: Database) -> None:
    batch = accept(database, lines=2)
    held = claim(database, batch)
    take(database, held, limit=1)
    answer(database, held, 1)
    request_writes.return_requests(database, claim=held, lines=[1, 2], after_engine_death=True)
    assert ledger(database, batch, "status", "engine_deaths") == [("completed", 0), ("pending", 0)]


def test_when_a_batch_ends_early_every_pending_line_is_taken_whatever_it_waits_for(
    database: Database,
) -> None:
    held = claim(database, accept(database, lines=3))
    take(database, held)
    postpone(database, held, 1, retry_at=NOW + 1_000)
    request_writes.return_requests(database, claim=held, lines=[2], after_engine_death=True)
    request_writes.return_requests(database, claim=held, lines=[2, 3], after_engine_death=True)
    assert numbers(request_writes.fetch_unanswered(database, claim=held, limit=10)) == [1, 2, 3]


def test_a_line_put_back_keeps_nothing_of_an_answer(database: Database) -> None:
    batch = accept(database, lines=1)
    held = claim(database, batch)
    take(database, held)
    postpone(database, held, 1, retry_at=NOW)
    assert ledger(database, batch, "answer_kind", "finished_at", "started_at") == [(None, None, None)]
