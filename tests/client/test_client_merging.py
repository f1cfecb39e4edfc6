"""Promises of the merged files: every custom_id exactly once, in the order of the input, whatever came in
between.
"""

import json
from pathlib import Path

import pytest

from scripts.client.merging import merge
from scripts.client.splitting import Limits, plan
from scripts.client.state import Part, State
from tests.client.inputs import line


def answer(custom_id: str, text: str = "fine") -> str:
    return json.dumps({"custom_id": custom_id, "response": {"status_code": 200, "body": text}, "error": None})


def failure(custom_id: str, text: str = "bad") -> str:
    return json.dumps({"custom_id": custom_id, "response": {"status_code": 400, "body": text}, "error": None})


class Folder:
    """An input of nine requests in three parts, and the folder its answers lie in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ids = [f"c{n}" for n in range(9)]
        source = folder / "in.jsonl"
        source.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(map(line, self.ids)).encode() + b"\n\n")
        found = plan(source, Limits(requests=3, bytes=10_000, line_bytes=10_000))
        self.parts = [
            Part(
                number,
                piece.first_line,
                piece.requests,
                piece.offset,
                piece.length,
                "k",
                "completed",
                [f"b{number}"],
            )
            for number, piece in enumerate(found.pieces, start=1)
        ]
        self.state = State(
            str(source), found.sha256, found.bytes, "http://x", "m", None, None, {}, self.parts, created_at=0
        )

    def put(self, batch_id: str, kind: str, *rows: str) -> None:
        path = self.folder / "parts" / f"{batch_id}.{kind}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{row}\n" for row in rows))

    def merge(self) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
        results, errors = self.folder / "results.jsonl", self.folder / "errors.jsonl"
        merged = merge(self.state, self.folder / "parts", results, errors)
        good, bad = ([json.loads(row) for row in path.read_text().splitlines()] for path in (results, errors))
        assert (merged.answered, merged.failed) == (len(good), len(bad))
        return good, bad


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_answers_come_in_the_order_of_the_input(folder: Folder) -> None:
    folder.put("b3", "results", answer("c8"), answer("c6"), answer("c7"))
    folder.put("b1", "results", answer("c2"), answer("c1"), answer("c0"))
    folder.put("b2", "results", answer("c5"), answer("c3"))
    folder.put("b2", "errors", failure("c4"))
    good, bad = folder.merge()
    assert [row["custom_id"] for row in good] == [name for name in folder.ids if name != "c4"]
    assert [row["custom_id"] for row in bad] == ["c4"]


def test_a_retry_replaces_the_failures_it_repeats(folder: Folder) -> None:
    for number in (1, 3):
        folder.put(f"b{number}", "results", *map(answer, folder.ids[3 * number - 3 : 3 * number]))
    folder.put("b2", "results", answer("c3"))
    folder.put("b2", "errors", failure("c4", "first"), failure("c5", "first"))
    folder.parts[1].batch_ids.append("again")
    folder.put("again", "results", answer("c5", "second"))
    folder.put("again", "errors", failure("c4", "second"))
    good, bad = folder.merge()
    assert [row["custom_id"] for row in good] == ["c0", "c1", "c2", "c3", "c5", "c6", "c7", "c8"]
    assert bad == [json.loads(failure("c4", "second"))]


def test_a_request_without_any_answer_gets_a_line_that_says_why(folder: Folder) -> None:
    folder.put("b1", "results", *map(answer, folder.ids[:3]))
    folder.put("b3", "results", *map(answer, folder.ids[6:]))
    folder.parts[1].status, folder.parts[1].failure = "failed", "the model could not be loaded"
    good, bad = folder.merge()
    assert len(good) == 6
    assert [row["custom_id"] for row in bad] == ["c3", "c4", "c5"]
    assert bad[0]["error"] == {"code": "batch_failed", "message": "the model could not be loaded"}


def test_merging_again_gives_the_same_bytes_and_leaves_nothing_else(folder: Folder) -> None:
    for number in (1, 2, 3):
        folder.put(f"b{number}", "results", *map(answer, folder.ids[3 * number - 3 : 3 * number]))
    folder.merge()
    first = (folder.folder / "results.jsonl").read_bytes()
    folder.merge()
    assert (folder.folder / "results.jsonl").read_bytes() == first
    assert sorted(path.name for path in folder.folder.iterdir()) == [
        "errors.jsonl",
        "in.jsonl",
        "parts",
        "results.jsonl",
    ]
