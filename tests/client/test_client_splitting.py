"""Promises of the splitter: what is sent is the whole input, in parts the server takes, and only if every
line is good.
"""

import json
import random
import tracemalloc
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest

from scripts.client.errors import BadLinesError, ClientError
from scripts.client.splitting import Limits, Piece, digest, plan
from tests.client.inputs import line

ROOMY = Limits(requests=50_000, bytes=200 * 1024 * 1024, line_bytes=4 * 1024 * 1024)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def bytes_of(source: Path, piece: Piece) -> bytes:
    return source.read_bytes()[piece.offset : piece.offset + piece.length]


@pytest.mark.parametrize("seed", range(20))
def test_the_parts_hold_every_line_once_and_in_order_within_the_limits(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    rows = [line(f"candidate-{n}", text="x" * chance.randint(1, 400)) for n in range(chance.randint(1, 120))]
    end = chance.choice(["\n", "\r\n"])
    source = write(tmp_path / "in.jsonl", end.join(rows) + chance.choice(["", end, end + end + "  "]))
    limits = replace(ROOMY, requests=chance.randint(1, 50), bytes=chance.randint(600, 4000))

    found = plan(source, limits)

    texts = [bytes_of(source, piece) for piece in found.pieces]
    assert [row for text in texts for row in text.decode().split() if row] == "\n".join(rows).split()
    for piece, text in zip(found.pieces, texts, strict=True):
        assert piece.requests == sum(bool(row.strip()) for row in text.splitlines()) <= limits.requests
        assert len(text) <= limits.bytes
        assert source.read_bytes()[: piece.offset].count(b"\n") == piece.first_line - 1
    assert all(first.offset + first.length == second.offset for first, second in pairwise(found.pieces))
    assert found.requests == len(rows)
    assert found.sha256 == digest(source) == sha256(source.read_bytes()).hexdigest()


def test_every_bad_line_is_reported_with_its_number(tmp_path: Path) -> None:
    rows = [line("a"), "not json", "[1]", "", line("b"), '{"custom_id": 7}', line("c")]
    with pytest.raises(BadLinesError) as caught:
        plan(write(tmp_path / "in.jsonl", "\n".join(rows)), ROOMY)
    assert sorted({error.line for error in caught.value.errors}) == [2, 3, 6]
    assert caught.value.exit_code == 4


def test_only_a_hundred_bad_lines_are_listed_but_all_are_counted(tmp_path: Path) -> None:
    with pytest.raises(BadLinesError) as caught:
        plan(write(tmp_path / "in.jsonl", "nonsense\n" * 250), ROOMY)
    assert (len(caught.value.errors), caught.value.total) == (100, 250)


def test_a_custom_id_is_unique_over_the_whole_input_not_only_in_its_part(tmp_path: Path) -> None:
    rows = [line(f"candidate-{n}") for n in range(30)] + [line("candidate-3")]
    with pytest.raises(BadLinesError) as caught:
        plan(write(tmp_path / "in.jsonl", "\n".join(rows)), replace(ROOMY, requests=5))
    (error,) = caught.value.errors
    assert (error.line, error.code) == (31, "duplicate_custom_id")
    assert "line 4" in error.message


def test_one_input_has_one_endpoint(tmp_path: Path) -> None:
    rows = [line("a"), line("b", url="/v1/completions").replace("messages", "prompt")]
    with pytest.raises(BadLinesError) as caught:
        plan(write(tmp_path / "in.jsonl", "\n".join(rows)), ROOMY)
    assert [error.code for error in caught.value.errors] == ["invalid_url"]


def test_a_byte_order_mark_at_the_start_is_no_error(tmp_path: Path) -> None:
    assert plan(write(tmp_path / "in.jsonl", b"\xef\xbb\xbf" + line("a").encode()), ROOMY).requests == 1


@pytest.mark.parametrize("limits", [{"bytes": 1000}, {"line_bytes": 1000}])
def test_lines_longer_than_the_server_takes_are_named_and_hide_nothing_behind_them(
    tmp_path: Path, limits: dict[str, int]
) -> None:
    rows = [line("a"), line("b", text="x" * 5000), line("c"), line("a"), line("d", text="x" * 3_000_000)]
    with pytest.raises(BadLinesError) as caught:
        plan(write(tmp_path / "in.jsonl", "\n".join(rows)), replace(ROOMY, **limits))
    assert [(error.line, error.code) for error in caught.value.errors] == [
        (2, "line_too_long"),
        (4, "duplicate_custom_id"),
        (5, "line_too_long"),
    ]
    assert caught.value.errors[0].message == "The line is longer than 1000 bytes."


def test_a_line_may_be_as_long_as_the_server_takes_and_its_end_does_not_count(tmp_path: Path) -> None:
    row = line("a")
    exact = replace(ROOMY, line_bytes=len(row))
    assert plan(write(tmp_path / "in.jsonl", f"\ufeff{row}\r\n{line('b')}\n"), exact).requests == 2


def test_a_free_grammar_is_an_error_only_where_the_server_takes_none(tmp_path: Path) -> None:
    row = json.loads(line("a"))
    row["body"]["structured_outputs"] = {"grammar": "root ::= 'yes'"}
    source = write(tmp_path / "in.jsonl", json.dumps(row))
    with pytest.raises(BadLinesError) as caught:
        plan(source, ROOMY)
    assert [error.code for error in caught.value.errors] == ["unsupported_parameter"]
    assert plan(source, replace(ROOMY, allow_grammars=True)).requests == 1


@pytest.mark.parametrize("content", ["", "\n\n  \n", b"\xef\xbb\xbf\n"])
def test_an_input_without_requests_is_refused(tmp_path: Path, content: str | bytes) -> None:
    with pytest.raises(ClientError, match="no requests"):
        plan(write(tmp_path / "in.jsonl", content), ROOMY)


def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    with source.open("w") as file:
        file.writelines(line(f"candidate-{n}", text="x" * 4000) + "\n" for n in range(8_000))
    tracemalloc.start()
    found = plan(source, replace(ROOMY, requests=1_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.bytes > 30_000_000
    assert peak < 1_000_000
