"""Workers found dead or silent lose their claims; the living keep theirs."""

from batch_app.database import Database
from batch_app.states import BatchStatus, RequestStatus
from batch_app.store import batches, claims, request_writes, workers
from batch_app.store.request_reads import list_dead_letters
from batch_app.store.workers import WorkerReport
from tests.factories import ANSWER_BYTES, NOW, accept, answer, claim, ledger, lose, take


def release(database: Database, *gone: str, silent_since: float = 0.0, me: str = "") -> list[str]:
    return claims.release_lost_workers(
        database, gone=gone, silent_since=silent_since, except_id=me, now=NOW + 100
    )


def owner(database: Database, batch_id: str) -> str | None:
    return batches.get_batch(database, batch_id=batch_id).worker_id


def test_a_silent_worker_is_lost_and_one_that_beats_is_not(database: Database) -> None:
    silent, living = claim(database, accept(database)), claim(database, accept(database))
    workers.beat(database, worker_id=living.worker_id, report=WorkerReport("idle"), now=NOW + 51)
    assert release(database, silent_since=NOW + 50) == [silent.worker_id]
    assert owner(database, silent.batch_id) is None
    assert owner(database, living.batch_id) == living.worker_id


def test_a_worker_known_to_be_dead_is_lost_however_fresh_its_heartbeat(database: Database) -> None:
    dead = claim(database, accept(database))
    assert release(database, dead.worker_id) == [dead.worker_id]
    worker = workers.latest_worker(database)
    assert worker is not None
    assert (worker.state, worker.stopped_at) == ("lost", NOW + 100)


def test_a_worker_is_found_lost_once(database: Database) -> None:
    dead = claim(database, accept(database))
    assert release(database, dead.worker_id) == [dead.worker_id]
    assert release(database, dead.worker_id) == []


def test_nobody_gives_up_on_himself(database: Database) -> None:
    mine = claim(database, accept(database))
    assert release(database, mine.worker_id, silent_since=NOW + 50, me=mine.worker_id) == []
    assert owner(database, mine.batch_id) == mine.worker_id


def test_what_a_stopped_worker_still_holds_is_released(database: Database) -> None:
    batch = accept(database, lines=1)
    stopped = claim(database, batch)
    take(database, stopped)
    workers.stop_worker(database, worker_id=stopped.worker_id, now=NOW)
    assert release(database) == []
    assert ledger(database, batch, "status") == ["pending"]
    assert claim(database, batch).epoch == 2


def test_recovery_touches_nothing_of_other_batches(database: Database) -> None:
    other = accept(database, lines=2)
    take(database, claim(database, other), limit=1)
    lose(database, claim(database, accept(database)))
    assert ledger(database, other, "status") == ["running", "pending"]
    assert owner(database, other.id) is not None


def test_lines_whose_answers_the_disk_has_lost_are_pending_again_as_if_never_tried(
    database: Database,
) -> None:
    batch = accept(database, lines=3)
    held = claim(database, batch)
    take(database, held)
    answer(database, held, 1, 2, output_tokens=5)
    failed = {"status": RequestStatus.FAILED, "error_code": "400", "dead_letter": "why", "attempts": 3}
    answer(database, held, 3, **failed)
    assert claims.begin_finalizing(database, claim=held, now=NOW)
    assert request_writes.requeue_answers(database, claim=held, kind="output", from_offset=ANSWER_BYTES) == 1
    assert request_writes.requeue_answers(database, claim=held, kind="error", from_offset=0) == 1
    columns = ("status", "attempts", "output_tokens", "error_code", "answer_offset")
    assert ledger(database, batch, *columns) == [
        ("completed", 1, 5, None, 0),
        ("pending", 0, 0, None, None),
        ("pending", 0, 0, None, None),
    ]
    assert list_dead_letters(database, batch_id=batch.id, after=0, limit=9) == []
    found = batches.get_batch(database, batch_id=batch.id)
    assert (found.status, found.finalizing_at) == (BatchStatus.IN_PROGRESS, None)
