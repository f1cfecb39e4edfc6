"""Uploaded and produced files: listing, deletion, expiry."""

import pytest

from batch_app.database import Database
from batch_app.errors import FileInUseError, FileMissingError
from batch_app.store import batch_insert, batches, files
from batch_app.store.admission import QueueLimits
from batch_app.store.files import NewFile
from tests.factories import NOW, accept, complete, input_lines, new_batch


def add(database: Database, number: int, **changes: float) -> str:
    file_id = f"file-{number}"
    new = NewFile(file_id, "batch", "in.jsonl", 1, "sha", f"files/{file_id}.jsonl", **changes)
    files.add_file(database, file=new, now=NOW + number)
    return file_id


def listed(database: Database, **wanted: object) -> list[str]:
    options = {"limit": 10, "newest_first": True, **wanted}
    return [file.id for file in files.list_files(database, **options)]  # type: ignore[arg-type]


def test_files_are_listed_by_age_behind_the_last_one_seen(database: Database) -> None:
    made = [add(database, number) for number in range(4)]
    assert listed(database) == made[::-1]
    assert listed(database, newest_first=False, after=made[1]) == made[2:]
    assert listed(database, after=made[2], limit=1) == [made[1]]
    assert listed(database, purpose="batch_output") == []


def test_a_deleted_file_is_gone_but_what_refers_to_it_is_not(database: Database) -> None:
    batch = complete(database, accept(database))
    files.delete_file(database, file_id=batch.input_file_id, now=NOW)
    with pytest.raises(FileMissingError):
        files.get_file(database, file_id=batch.input_file_id)
    assert listed(database) == []
    assert batches.get_batch(database, batch_id=batch.id) == batch


def test_a_file_that_an_unfinished_batch_needs_stays(database: Database) -> None:
    batch = accept(database)
    with pytest.raises(FileInUseError, match=batch.id):
        files.delete_file(database, file_id=batch.input_file_id, now=NOW)
    assert files.get_file(database, file_id=batch.input_file_id).id == batch.input_file_id


def test_a_file_deleted_in_the_last_moment_makes_no_batch(database: Database) -> None:
    file_id = add(database, 1)
    files.delete_file(database, file_id=file_id, now=NOW)
    with pytest.raises(FileMissingError):
        batch_insert.accept_batch(
            database,
            batch=new_batch(input_file_id=file_id),
            file=None,
            lines=input_lines(2),
            limits=QueueLimits(max_active_batches=5, max_queued_requests=100),
            now=NOW,
        )
    assert batches.list_batches(database, limit=10) == []


def test_expired_files_go_and_no_others(database: Database) -> None:
    due, later = add(database, 1, expires_at=NOW + 10), add(database, 2, expires_at=NOW + 20)
    forever = add(database, 3)
    assert [file.id for file in files.delete_expired_files(database, now=NOW + 10)] == [due]
    assert listed(database) == [forever, later]
    assert files.delete_expired_files(database, now=NOW + 10) == []
