"""Answer logs, one per claim and kind, add up to streams of which only the committed part is ever read."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from batch_app.disk.files import (
    AnswerKind,
    AnswerLog,
    AnswerReader,
    Place,
    publish_stream,
    read_stream,
    remove_folder,
)

NewLog = Callable[..., AnswerLog]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[NewLog]:
    """Opens logs, the first claim's output unless told otherwise; closes them all at the end."""
    opened = []

    def new_log(
        *, folder: Path = tmp_path, kind: AnswerKind = "output", epoch: int = 1, base: int = 0
    ) -> AnswerLog:
        opened.append(AnswerLog(folder, kind, epoch=epoch, base=base))
        return opened[-1]

    yield new_log
    for answers in opened:
        answers.close()


def stream(folder: Path, start: int, end: int) -> bytes:
    return b"".join(read_stream(folder, "output", start, end))


def failing(number: int) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


def test_answers_and_the_name_of_their_log_are_on_the_disk_when_append_returns(
    tmp_path: Path, log: NewLog, deeds: list[str]
) -> None:
    answers = log(folder=tmp_path / "batch")
    answers.append([b"one\n"])
    assert deeds == [f"sync {tmp_path.name}", "sync batch", "sync output-000001-0.jsonl"]
    answers.append([b"two\n"])
    assert deeds[3:] == ["sync output-000001-0.jsonl"]
    assert (tmp_path / "batch" / "output-000001-0.jsonl").read_bytes() == b"one\ntwo\n"


def test_places_are_offsets_in_the_stream_of_all_claims(tmp_path: Path, log: NewLog) -> None:
    assert log(base=100).append([b"one\n", b"three\n"]) == [Place("output", 100, 4), Place("output", 104, 6)]


def test_a_claim_without_answers_leaves_no_file(tmp_path: Path, log: NewLog) -> None:
    log().close()
    assert list(tmp_path.iterdir()) == []
    assert stream(tmp_path, 0, 0) == b""


def test_the_next_claim_goes_on_where_the_committed_part_ended(tmp_path: Path, log: NewLog) -> None:
    log().append([b"one\n", b"never committed\n"])
    log(epoch=2, base=4).append([b"two\n"])
    assert stream(tmp_path, 0, 8) == b"one\ntwo\n"
    assert stream(tmp_path, 2, 6) == b"e\ntw"


def test_a_late_worker_writes_into_its_own_log_and_spoils_nothing(tmp_path: Path, log: NewLog) -> None:
    late, present = log(), log(epoch=2)
    present.append([b"one\n"])
    late.append([b"late\n", b"later\n"])
    assert stream(tmp_path, 0, 4) == b"one\n"


def test_a_log_that_begins_behind_a_later_one_counts_no_more(tmp_path: Path, log: NewLog) -> None:
    log().append([b"one\n", b"lost by the disk\n"])
    log(epoch=2, base=21).append([b"built on what was lost\n"])
    log(epoch=3, base=4).append([b"two\n"])
    assert stream(tmp_path, 0, 8) == b"one\ntwo\n"
    with AnswerReader.of_logs(tmp_path) as reader:
        assert reader.read(Place("output", 4, 4)) == b"two\n"


def test_the_two_kinds_of_answers_do_not_mix(tmp_path: Path, log: NewLog) -> None:
    log().append([b"good\n"])
    log(kind="error").append([b"bad\n"])
    assert stream(tmp_path, 0, 5) == b"good\n"
    assert b"".join(read_stream(tmp_path, "error", 0, 4)) == b"bad\n"


def test_what_a_full_disk_took_in_part_is_forgotten(
    tmp_path: Path, log: NewLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = log()
    answers.append([b"one\n"])
    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", failing(errno.ENOSPC))
        with pytest.raises(OSError, match="No space"):
            answers.append([b"half of it\n"])
    answers.cut_to(4)
    assert answers.append([b"two\n"]) == [Place("output", 4, 4)]
    assert stream(tmp_path, 0, 8) == b"one\ntwo\n"


def test_a_cut_that_fails_costs_no_committed_answer(
    tmp_path: Path, log: NewLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = log()
    answers.append([b"one\n"])
    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", failing(errno.ENOSPC))
        broken.setattr(Path, "open", failing(errno.EMFILE))
        with pytest.raises(OSError, match="No space"):
            answers.append([b"half of it\n"])
        with suppress(OSError):
            answers.cut_to(4)
    with suppress(OSError):  # refusing to go on would be right too
        answers.append([b"two\n"])
    assert stream(tmp_path, 0, 4) == b"one\n"


def test_a_log_that_is_too_short_is_an_error(tmp_path: Path, log: NewLog) -> None:
    log().append([b"one\n"])
    with pytest.raises(EOFError):
        stream(tmp_path, 0, 5)


@pytest.mark.parametrize("present", [[], [2]], ids=["no log at all", "the first log is missing"])
def test_a_log_that_is_missing_is_an_error_and_never_a_shorter_stream(
    tmp_path: Path, log: NewLog, present: list[int]
) -> None:
    for epoch in present:
        log(epoch=epoch, base=4).append([b"two\n"])
    with pytest.raises((EOFError, OSError)):
        stream(tmp_path, 0, 8)


def test_foreign_files_in_the_folder_are_not_read(tmp_path: Path, log: NewLog) -> None:
    for name in ("output-1-0.jsonl", "output-000001-0.jsonl.bak", "output-000000-x.jsonl", "output-.jsonl"):
        (tmp_path / name).write_bytes(b"foreign")
    log().append([b"one\n"])
    assert stream(tmp_path, 0, 4) == b"one\n"


def test_publishing_again_after_a_crash_gives_the_same_file(tmp_path: Path, log: NewLog) -> None:
    log(folder=tmp_path / "work").append([b"one\n", b"never committed\n"])
    temporary, final = tmp_path / "tmp" / "f.part", tmp_path / "files" / "f.jsonl"
    first = publish_stream(tmp_path / "work", "output", 4, temporary=temporary, final=final)
    again = publish_stream(tmp_path / "work", "output", 4, temporary=temporary, final=final)
    assert first == again
    assert (first.bytes, final.read_bytes()) == (4, b"one\n")


def test_a_stream_that_cannot_be_read_whole_is_not_published(tmp_path: Path, log: NewLog) -> None:
    log().append([b"one\n"])
    final = tmp_path / "files" / "f.jsonl"
    with pytest.raises(EOFError):
        publish_stream(tmp_path, "output", 5, temporary=tmp_path / "f.part", final=final)
    assert not final.exists()


def test_removing_a_folder_twice_is_fine(tmp_path: Path, log: NewLog) -> None:
    log(folder=tmp_path / "work").append([b"one\n"])
    for _ in range(2):
        remove_folder(tmp_path / "work")
    assert not (tmp_path / "work").exists()
