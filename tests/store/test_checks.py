"""The database itself refuses what cannot be true, whoever writes it."""

import pytest
from sqlalchemy.exc import IntegrityError

from batch_app.database import Database
from batch_app.states import BatchStatus
from tests.factories import accept, answer, claim, complete, end, start_worker, take

FINAL = [BatchStatus.COMPLETED, BatchStatus.FAILED, BatchStatus.EXPIRED, BatchStatus.CANCELLED]
COUNTS = (
    "completed_requests = 3, failed_requests = 0, cancelled_requests = 0, expired_requests = 0,"
    " input_tokens = 0, cached_tokens = 0, output_tokens = 0, reasoning_tokens = 0"
)
PLACE = "answer_kind = 'output', answer_offset = 0, answer_length = 5"


def refused(database: Database, table: str, changes: str, *, by: str) -> None:
    """A change of every row of a table is refused by a constraint."""
    with pytest.raises(IntegrityError, match=by), database.write() as connection:
        connection.exec_driver_sql(f"UPDATE {table} SET {changes}")


def allowed(database: Database, table: str, changes: str) -> None:
    with database.write() as connection:
        connection.exec_driver_sql(f"UPDATE {table} SET {changes}")


@pytest.mark.parametrize(
    ("changes", "by"),
    [
        ("status = 'pending'", "status"),
        ("status = NULL", "status"),
        ("dialect = 'anthropic'", "dialect"),
        ("total_requests = -1", "total_not_negative"),
        ("status = 'completed'", "counts_frozen_when_final|completed_at"),
        (f"status = 'completed', {COUNTS}", "completed_at"),
        ("status = 'completed', completed_at = 1", "counts_frozen_when_final"),
        (f"status = 'failed', completed_at = 1, {COUNTS}", "failed_at|completed_at"),
        (COUNTS, "counts_frozen_when_final"),
        ("output_file_id = 'file-nobody'", "FOREIGN KEY"),
        ("worker_id = 'worker_nobody'", "FOREIGN KEY"),
        ("parent_batch_id = 'batch_nobody'", "FOREIGN KEY"),
    ],
)
def test_a_batch_that_cannot_be_is_refused(database: Database, changes: str, by: str) -> None:
    accept(database, lines=3)
    refused(database, "batches", changes, by=by)


@pytest.mark.parametrize("status", FINAL)
def test_a_batch_is_final_if_and_only_if_its_moment_is_known(database: Database, status: BatchStatus) -> None:
    accept(database, lines=3)
    refused(database, "batches", f"{status}_at = 1", by=f"{status}_at")
    allowed(database, "batches", f"status = '{status}', {status}_at = 1, {COUNTS}")
    refused(database, "batches", f"{status}_at = NULL", by=f"{status}_at")


def test_a_final_batch_has_no_claim(database: Database) -> None:
    complete(database, accept(database))
    worker = start_worker(database)
    refused(database, "batches", f"worker_id = '{worker}'", by="final_has_no_claim")


def test_the_frozen_counts_account_for_every_line(database: Database) -> None:
    complete(database, accept(database, lines=3))
    refused(database, "batches", "completed_requests = 2", by="every_line_accounted_for")
    refused(database, "batches", "failed_requests = 1", by="every_line_accounted_for")
    allowed(database, "batches", "completed_requests = 2, failed_requests = 1")


def test_a_batch_cannot_end_while_a_line_has_no_end(database: Database) -> None:
    batch = accept(database, lines=3)
    held = claim(database, batch)
    answer(database, held, *(line.line for line in take(database, held, limit=2)))
    with pytest.raises(IntegrityError, match="every_line_accounted_for"):
        end(database, held, BatchStatus.FAILED)


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "expired"])
def test_a_line_is_final_if_and_only_if_it_has_an_answer_and_a_moment(
    database: Database, status: str
) -> None:
    accept(database, lines=1)
    kind = "output" if status == "completed" else "error"
    place = PLACE.replace("output", kind)
    refused(database, "requests", f"status = '{status}', {place}", by="finished_at")
    refused(database, "requests", f"status = '{status}', finished_at = 1", by="final_has_an_answer")
    refused(database, "requests", "finished_at = 1", by="finished_at")
    refused(database, "requests", place, by="final_has_an_answer")
    allowed(database, "requests", f"status = '{status}', finished_at = 1, {place}")


@pytest.mark.parametrize(
    ("changes", "by"),
    [
        ("status = 'queued'", "status"),
        ("line = 0", "input_place"),
        ("input_offset = -1", "input_place"),
        ("input_length = 0", "input_place"),
        (f"status = 'failed', finished_at = 1, {PLACE}", "answer_kind"),
        (f"status = 'completed', finished_at = 1, {PLACE.replace('output', 'error')}", "answer_kind"),
        (f"status = 'completed', finished_at = 1, {PLACE.replace('5', '0')}", "final_has_an_answer"),
        (f"status = 'failed', finished_at = 1, {PLACE.replace('output', 'sideways')}", "answer_kind"),
        ("batch_id = 'batch_nobody'", "FOREIGN KEY"),
    ],
)
def test_a_line_that_cannot_be_is_refused(database: Database, changes: str, by: str) -> None:
    accept(database, lines=1)
    refused(database, "requests", changes, by=by)


@pytest.mark.parametrize("changes", ["custom_id = 'same'", "line = 7"])
def test_a_line_and_a_custom_id_exist_once_in_a_batch(database: Database, changes: str) -> None:
    accept(database, lines=2)
    refused(database, "requests", changes, by="UNIQUE")


@pytest.mark.parametrize(
    ("changes", "by"),
    [
        ("state = 'sleeping'", "state"),
        ("state = 'stopped'", "stopped_at"),
        ("state = 'lost'", "stopped_at"),
        ("stopped_at = 1", "stopped_at"),
    ],
)
def test_a_worker_is_gone_if_and_only_if_its_moment_is_known(
    database: Database, changes: str, by: str
) -> None:
    start_worker(database)
    refused(database, "workers", changes, by=by)


@pytest.mark.parametrize(
    ("changes", "by"), [("bytes = -1", "bytes_not_negative"), ("purpose = 'x'", "purpose")]
)
def test_a_file_that_cannot_be_is_refused(database: Database, changes: str, by: str) -> None:
    accept(database)
    refused(database, "files", changes, by=by)
