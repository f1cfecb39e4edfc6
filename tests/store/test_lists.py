"""What is listed, in which order, and page by page: batches, ledger rows, dead letters, errors."""

from functools import partial
from typing import Any

import pytest
from sqlalchemy import event

from batch_app.database import Database
from batch_app.errors import BatchNotFoundError, FileMissingError
from batch_app.states import BatchStatus, RequestStatus
from batch_app.store import batches, files, progress, request_reads
from batch_app.store.batches import Batch
from batch_app.store.files import FileFacts
from batch_app.store.request_reads import CommittedBytes, ErrorGroup, RowFilter
from tests.factories import ANSWER_BYTES, NOW, accept, answer, claim, complete, take
from tests.store.plans import plans_of

FAILED = RequestStatus.FAILED


def troubled(database: Database) -> Batch:
    """Six lines: 1 and 4 answered, 2 and 5 refused, 3 crashed, 6 still pending."""
    batch = accept(database, lines=6)
    held = claim(database, batch)
    take(database, held, limit=5)
    answer(database, held, 1, 4)
    answer(
        database, held, 5, 2, status=FAILED, status_code=400, error_code="BadRequestError", dead_letter="bad"
    )
    answer(
        database, held, 3, status=FAILED, status_code=None, error_code="engine_crashed", dead_letter="crash"
    )
    return batch


def rows(
    database: Database, batch: Batch, *, after: int = 0, limit: int = 10, **wanted: Any
) -> tuple[list[int], int]:
    found, total = request_reads.list_rows(
        database, batch_id=batch.id, wanted=RowFilter(**wanted), after=after, limit=limit
    )
    return [row["line"] for row in found], total


def test_batches_are_listed_newest_first_also_those_of_the_same_moment(database: Database) -> None:
    made = [accept(database, id=f"batch_{n}", now=NOW + (n > 2)) for n in (1, 3, 2, 4)]
    listed = [batch.id for batch in batches.list_batches(database, limit=10)]
    assert listed == ["batch_4", "batch_3", "batch_2", "batch_1"]
    assert len(made) == len(listed)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 10])
def test_pages_give_every_batch_exactly_once(database: Database, limit: int) -> None:
    made = {accept(database, lines=1, now=NOW + n // 2).id for n in range(5)}
    seen: list[str] = []
    while page := batches.list_batches(database, limit=limit, after=seen[-1] if seen else None):
        seen += [batch.id for batch in page]
    assert sorted(seen) == sorted(made)


def test_a_list_may_ask_for_states_and_a_page_behind_an_unknown_batch_is_an_error(database: Database) -> None:
    done, waiting = complete(database, accept(database)), accept(database)
    assert batches.list_batches(database, limit=10, statuses=[BatchStatus.COMPLETED]) == [done]
    assert batches.list_batches(database, limit=10, statuses=[BatchStatus.QUEUED]) == [waiting]
    with pytest.raises(BatchNotFoundError):
        batches.list_batches(database, limit=10, after="batch_nobody")


def test_open_batches_come_by_priority_and_then_by_age(database: Database) -> None:
    old, young = accept(database, now=NOW), accept(database, now=NOW + 1)
    urgent = accept(database, now=NOW + 2, priority=1)
    complete(database, accept(database, priority=9))
    cancelling = accept(database, now=NOW + 3)
    batches.request_cancel(database, batch_id=cancelling.id, now=NOW)
    listed = [batch.id for batch in batches.list_open_batches(database)]
    assert listed == [urgent.id, old.id, young.id, cancelling.id]


def test_rows_come_in_input_order_page_by_page(database: Database) -> None:
    batch = troubled(database)
    assert rows(database, batch, limit=4) == ([1, 2, 3, 4], 6)
    assert rows(database, batch, limit=4, after=4) == ([5, 6], 6)


@pytest.mark.parametrize(
    ("wanted", "lines"),
    [
        ({"status": "completed"}, [1, 4]),
        ({"error_code": "BadRequestError"}, [2, 5]),
        ({"status": "failed", "error_code": "engine_crashed"}, [3]),
        ({"custom_id_prefix": "candidate-6"}, [6]),
        ({"custom_id_prefix": "candidate-"}, [1, 2, 3, 4, 5, 6]),
        ({"custom_id_prefix": "candidate_"}, []),
        ({"custom_id_prefix": "%"}, []),
    ],
)
def test_rows_are_filtered_and_counted(database: Database, wanted: dict[str, str], lines: list[int]) -> None:
    assert rows(database, troubled(database), limit=10, **wanted) == (lines, len(lines))


def test_errors_are_grouped_with_the_first_line_as_a_sample(database: Database) -> None:
    assert request_reads.error_groups(database, batch_id=troubled(database).id) == [
        ErrorGroup("BadRequestError", 2, 2, "candidate-2", "bad"),
        ErrorGroup("engine_crashed", 1, 3, "candidate-3", "crash"),
    ]


def test_dead_letters_come_in_input_order_page_by_page(database: Database) -> None:
    batch = troubled(database)
    letters = request_reads.list_dead_letters(database, batch_id=batch.id, after=2, limit=1)
    assert [(letter["line"], letter["code"]) for letter in letters] == [(3, "engine_crashed")]


def test_a_retry_takes_the_lines_that_ended_without_an_answer(database: Database) -> None:
    assert request_reads.unsuccessful_inputs(database, batch_id=troubled(database).id) == [
        (100, 99),
        (200, 99),
        (400, 99),
    ]


def test_what_is_committed_ends_with_the_last_recorded_answer(database: Database) -> None:
    batch = troubled(database)

    def part(kind: Any, skip: int = 0) -> CommittedBytes:
        return request_reads.committed_bytes(database, batch_id=batch.id, kind=kind, skip=skip)

    assert part("output") == CommittedBytes(2, 0, 2 * ANSWER_BYTES)
    assert part("error") == CommittedBytes(3, 0, 3 * ANSWER_BYTES)
    assert [part("output", skip).start for skip in (0, 1, 2, 9)] == [0, 10, 20, 20]
    assert request_reads.committed_bytes(database, batch_id="batch_nobody", kind="output") == CommittedBytes(
        0, 0, 0
    )


def test_what_is_committed_is_of_one_moment_while_answers_come(database: Database) -> None:
    """An answer recorded between the questions would begin the part that is asked for behind its end."""
    batch = accept(database, lines=6)
    held = claim(database, batch)
    take(database, held)
    answer(database, held, 1, 2)
    recording = iter([partial(answer, Database(database.path), held, 3, 4, 5)])

    def record_more(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT"):
            for record in recording:
                record()

    event.listen(database.engine, "after_cursor_execute", record_more)
    for skip, start in ((3, 2), (3, 3)):
        part = request_reads.committed_bytes(database, batch_id=batch.id, kind="output", skip=skip)
        assert part.start == start * ANSWER_BYTES
        assert part.start <= part.end == part.lines * ANSWER_BYTES


@pytest.mark.parametrize("ended", [False, True])
def test_a_model_has_answered_once_a_line_of_any_batch_has_its_answer(
    database: Database, *, ended: bool
) -> None:
    def has_answered(model: str) -> bool:
        return batches.has_answered(database, served_model=model)

    accept(database, served_model="waiting")
    complete(database, accept(database, served_model="refusing"), status=FAILED, error_code="e")
    answering = accept(database, served_model="answering")
    assert not any(map(has_answered, ("waiting", "refusing", "answering", "unknown")))
    if ended:
        complete(database, answering)
    else:
        held = claim(database, answering)
        take(database, held)
        answer(database, held, 2)
    assert [model for model in ("waiting", "refusing", "answering") if has_answered(model)] == ["answering"]


def test_whether_a_model_has_answered_is_told_without_reading_the_ledgers(database: Database) -> None:
    [plan] = plans_of(database, lambda: batches.has_answered(database, served_model="tiny"))
    assert "SEARCH requests USING COVERING INDEX ix_requests_progress (batch_id=? AND status=?)" in plan


def test_retries_are_found_and_lines_counted_by_index_however_much_there_is(database: Database) -> None:
    ids = [accept(database).id, accept(database).id]
    [plan] = plans_of(database, lambda: batches.retries_of(database, batch_ids=ids))
    assert "ix_batches_parent_batch_id" in plan
    [plan] = plans_of(database, lambda: progress.unanswered_of(database, batch_ids=ids))
    assert "COVERING INDEX ix_requests_progress" in plan


def test_files_are_found_by_their_ids(database: Database) -> None:
    batch = accept(database)
    with pytest.raises(FileMissingError):
        files.get_file(database, file_id="file-nobody")
    ids = [batch.input_file_id, "file-nobody"]
    assert files.facts_of(database, file_ids=ids) == {batch.input_file_id: FileFacts("in.jsonl", 300)}


def test_a_deleted_file_keeps_its_name_and_loses_its_size(database: Database) -> None:
    batch = complete(database, accept(database))
    files.delete_file(database, file_id=batch.input_file_id, now=NOW)
    known = files.facts_of(database, file_ids=[batch.input_file_id])
    assert known == {batch.input_file_id: FileFacts("in.jsonl", None)}
