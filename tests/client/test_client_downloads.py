"""Promises of a download: it continues, it is whole, and it has its name only then."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from scripts.client.api import Api, Content
from scripts.client.downloads import fetch_file, replacing
from scripts.client.errors import UnavailableError
from scripts.client.wire import Batch
from tests.client.command_line import Client
from tests.client.inputs import write_input

pytestmark = pytest.mark.process


class CountingApi(Api):
    """Notes where downloads begin, and can lose the connection after some bytes."""

    def __init__(self, url: str, *, break_after: int | None = None) -> None:
        super().__init__(url)
        self.offsets: list[int] = []
        self._break_after = break_after

    def content(self, file_id: str, *, offset: int = 0) -> Content:
        self.offsets.append(offset)
        content = super().content(file_id, offset=offset)
        return replace(content, pieces=self._cut(content.pieces))

    def _cut(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece[: self._break_after]
            if self._break_after is not None:
                raise UnavailableError("the connection broke")


@pytest.fixture(scope="module")
def finished(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Batch:
    source = write_input(tmp_path_factory.mktemp("input") / "in.jsonl", 50)
    done = client.run("submit", source, "--model", "m", "--interval", "0.1")
    assert done.returncode == 0, done.stderr
    return next(batch for batch in map(client.api.batch, newest_ids(client)) if batch.completed == 50)


def newest_ids(client: Client) -> Iterator[str]:
    return (str(body["id"]) for body in client.api.batch_bodies())


def file_of(batch: Batch) -> str:
    assert batch.output_file_id is not None
    return batch.output_file_id


def test_a_broken_download_continues_where_it_ended(client: Client, finished: Batch, tmp_path: Path) -> None:
    target = tmp_path / "results.jsonl"
    broken, whole = CountingApi(client.system.url, break_after=777), CountingApi(client.system.url)
    for _ in range(3):
        with pytest.raises(UnavailableError):
            fetch_file(broken, file_of(finished), target)
        assert not target.exists()
    fetch_file(whole, file_of(finished), target)
    assert broken.offsets + whole.offsets == [0, 777, 2 * 777, 3 * 777]
    assert sha256(target.read_bytes()).hexdigest() == client.api.content(file_of(finished)).etag
    assert [path.name for path in tmp_path.iterdir()] == ["results.jsonl"]


def test_what_an_earlier_try_left_spoiled_is_noticed_and_fetched_anew(
    client: Client, finished: Batch, tmp_path: Path
) -> None:
    target = tmp_path / "results.jsonl"
    (tmp_path / f".results.jsonl.{file_of(finished)}.partial").write_bytes(b"\0" * 500)
    with pytest.raises(UnavailableError, match="other bytes"):
        fetch_file(client.api, file_of(finished), target)
    assert not target.exists()
    fetch_file(client.api, file_of(finished), target)
    assert target.read_bytes().count(b"\n") == 50


def test_leftovers_larger_than_the_file_are_fetched_anew(
    client: Client, finished: Batch, tmp_path: Path
) -> None:
    target = tmp_path / "results.jsonl"
    (tmp_path / f".results.jsonl.{file_of(finished)}.partial").write_bytes(b"\0" * 5_000_000)
    fetch_file(client.api, file_of(finished), target)
    assert target.read_bytes().count(b"\n") == 50


def test_a_file_that_is_being_replaced_keeps_its_old_content_until_the_new_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(target) as file:
        file.write(b"half of the n" * (1 // 0))
    assert target.read_text() == "old"
