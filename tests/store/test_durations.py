"""How long requests took, in buckets: the same before and after their batch has ended."""

from math import inf

from batch_app.database import Database
from batch_app.states import BatchStatus, RequestStatus
from batch_app.store import claims, durations
from tests.factories import NOW, accept, answer, claim, end, take


def filled(database: Database) -> dict[float, tuple[int, float]]:
    """(requests, seconds) by upper bound, without the empty buckets."""
    found = durations.all_durations(database)
    return {one.up_to_seconds: (one.requests, one.seconds) for one in found if one.requests}


def test_durations_count_from_the_engine_to_the_disk_in_open_and_ended_batches(database: Database) -> None:
    held = claim(database, accept(database, lines=4))
    lines = [line.line for line in take(database, held)]
    answer(database, held, lines[0], now=NOW + 0.5)
    answer(database, held, lines[1], now=NOW + 7, status=RequestStatus.FAILED, error_code="x")
    answer(database, held, lines[2], now=NOW + 5000)
    answer(database, held, lines[3], now=NOW + 9, started_at=None)  # never came to the engine
    wanted = {0.5: (1, 0.5), 10.0: (1, 7.0), inf: (1, 5000.0)}
    assert filled(database) == wanted
    claims.begin_finalizing(database, claim=held, now=NOW)
    end(database, held, BatchStatus.COMPLETED)
    assert filled(database) == wanted


def test_batches_add_up(database: Database) -> None:
    for _ in range(3):
        held = claim(database, accept(database, lines=2))
        answer(database, held, *(line.line for line in take(database, held)), now=NOW + 2)
        claims.begin_finalizing(database, claim=held, now=NOW)
        end(database, held, BatchStatus.COMPLETED)
    assert filled(database) == {2.5: (6, 12.0)}
    assert [one.up_to_seconds for one in durations.all_durations(database)] == list(durations.BUCKETS)


def test_a_clock_that_was_set_back_takes_nothing_off_the_sum(database: Database) -> None:
    held = claim(database, accept(database))
    [first, second, _third] = [line.line for line in take(database, held)]
    answer(database, held, first, now=NOW + 7)
    answer(database, held, second, now=NOW - 3600)
    assert filled(database) == {0.05: (1, 0.0), 10.0: (1, 7.0)}
