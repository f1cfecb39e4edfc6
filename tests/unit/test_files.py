"""A file has its name only once its bytes survive a power cut."""

from pathlib import Path

import pytest

from batch_app.database import Database
from batch_app.disk.files import make_folder, publish, read_range


def test_a_file_is_on_the_disk_before_it_has_its_name_and_the_name_before_anybody_is_told(
    tmp_path: Path, deeds: list[str]
) -> None:
    temporary, final = tmp_path / "new.part", tmp_path / "files" / "new.jsonl"
    with temporary.open("wb") as written:
        written.write(b"content")
        publish(written, temporary, final)
    assert deeds == ["sync new.part", f"sync {tmp_path.name}", "rename new.part", "sync files"]
    assert final.read_bytes() == b"content"
    assert not temporary.exists()


def test_large_answers_are_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * 3_000_000)
    pieces = list(read_range(path, 10, 2_500_000))
    assert sum(map(len, pieces)) == 2_500_000
    assert max(map(len, pieces)) <= 1024 * 1024


def test_a_new_folders_own_name_is_durable_and_an_old_one_costs_nothing(
    tmp_path: Path, deeds: list[str]
) -> None:
    make_folder(tmp_path / "new")
    make_folder(tmp_path / "new")
    assert deeds == [f"sync {tmp_path.name}"]


def test_the_folders_made_on_the_way_are_durable_too(tmp_path: Path, deeds: list[str]) -> None:
    make_folder(tmp_path / "outer" / "inner")
    assert set(deeds) == {f"sync {tmp_path.name}", "sync outer"}


def test_so_is_the_data_folder_whoever_comes_first(tmp_path: Path, deeds: list[str]) -> None:
    Database(tmp_path / "new" / "batch.db").close()
    assert f"sync {tmp_path.name}" in deeds
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_reading_past_the_end_is_an_error_and_never_a_shorter_answer(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"123")
    with pytest.raises(EOFError):
        list(read_range(tmp_path / "short", 1, 3))
