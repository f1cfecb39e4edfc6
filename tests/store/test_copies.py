"""Lines that share another one's answer: kept from the engine, and found again when that one has its end."""

from batch_app.database import Database
from batch_app.input.scan import ScannedRequest
from batch_app.store import batch_insert, request_writes
from batch_app.store.claims import Claim
from tests.factories import NOW, ROOM, answer, claim, new_batch, new_file, take, take_suspect
from tests.store.plans import plans_of

LINES = [
    ScannedRequest(line, f"candidate-{line}", line * 100, 99, copy_of=copy_of)
    for line, copy_of in enumerate([None, 1, None, 1, 3, 1], 1)
]


def held(database: Database) -> Claim:
    batch = new_batch(deduplicate=True)
    file = new_file(id=batch.input_file_id)
    accepted = batch_insert.accept_batch(database, batch=batch, file=file, lines=LINES, limits=ROOM, now=NOW)
    return claim(database, accepted)


def copies(database: Database, claimed: Claim, *of: int, limit: int = 10) -> list[int]:
    return [line.line for line in request_writes.fetch_copies(database, claim=claimed, of=of, limit=limit)]


def test_only_originals_go_to_the_engine(database: Database) -> None:
    claimed = held(database)
    assert [line.line for line in take(database, claimed)] == [1, 3]
    assert take(database, claimed) == []
    assert take_suspect(database, claimed, from_engine_deaths=0) is None


def test_copies_are_found_until_they_have_their_end(database: Database) -> None:
    claimed = held(database)
    assert copies(database, claimed, 1, limit=2) == [2, 4]
    assert copies(database, claimed, 1) == [2, 4, 6]
    answer(database, claimed, 2, 4, 6)
    assert copies(database, claimed, 1) == []
    assert copies(database, claimed, 1, 3) == [5]


def test_when_a_batch_ends_early_copies_are_taken_like_all_others(database: Database) -> None:
    remaining = request_writes.fetch_unanswered(database, claim=held(database), limit=10)
    assert [line.line for line in remaining] == [1, 2, 3, 4, 5, 6]


def test_looking_for_copies_reads_no_other_line(database: Database) -> None:
    claimed = held(database)
    plans = plans_of(database, lambda: copies(database, claimed, 1, 3))
    assert any("ix_requests_copy_of" in plan for plan in plans), plans
