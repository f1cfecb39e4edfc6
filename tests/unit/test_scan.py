"""A whole input file: what is tolerated, what is refused and where, and what the ledger is told."""

import hashlib
import io
import os
from typing import Any

import orjson
import pytest

from batch_app.input.scan import MAX_REPORTED_ERRORS, Scan, ScanOptions, scan
from tests.lines import chat_line, chat_lines, jsonl

BOM = b"\xef\xbb\xbf"
LINE_BYTES = 400


def scanned(content: bytes, **rules: Any) -> Scan:
    return scan(
        io.BytesIO(content),
        ScanOptions(**{"max_requests": 100, "max_line_bytes": 4096, **rules}),
        copy_to=io.BytesIO(),
    )


def problems(found: Scan) -> list[tuple[int, str, str | None]]:
    return [(error.line, error.code, error.param) for error in found.errors]


def line_of(size: int, custom_id: str = "a") -> bytes:
    """A valid line of exactly `size` bytes, without its end."""
    empty = len(orjson.dumps(chat_line(custom_id, "")))
    return orjson.dumps(chat_line(custom_id, "x" * (size - empty)))


def test_a_good_file_is_copied_hashed_and_indexed() -> None:
    content = jsonl(chat_lines(3))
    copy = io.BytesIO()
    found = scan(io.BytesIO(content), ScanOptions(max_requests=3, max_line_bytes=4096), copy_to=copy)
    assert copy.getvalue() == content
    assert (found.bytes, found.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (found.endpoint, found.model) == ("/v1/chat/completions", "gpt-4")
    assert [(line.line, line.custom_id) for line in found.lines] == [
        (n + 1, f"candidate-{n}") for n in range(3)
    ]


def test_an_accepted_line_is_found_again_by_its_offset_and_length() -> None:
    content = (
        BOM
        + b"\n"
        + jsonl(chat_lines(2)).replace(b"\n", b"\r\n")
        + b"\n  \n"
        + orjson.dumps(chat_line("last"))
    )
    found = scanned(content)
    bodies = [orjson.loads(content[line.offset : line.offset + line.length]) for line in found.lines]
    assert [body["custom_id"] for body in bodies] == ["candidate-0", "candidate-1", "last"]


def test_blank_lines_are_no_requests_but_count_as_lines_of_the_file() -> None:
    found = scanned(b"\n" + jsonl([chat_line("a")]) + b"\r\n \t\n" + b"nonsense\n\n")
    assert found.total_lines == 2
    assert found.lines[0].line == 2
    assert problems(found) == [(5, "invalid_json_line", None)]


@pytest.mark.parametrize("content", [b"", b"\n\n", BOM, BOM + b"\r\n"])
def test_an_empty_file_has_no_lines_and_no_errors(content: bytes) -> None:
    found = scanned(content)
    assert (found.total_lines, found.total_errors, found.lines) == (0, 0, [])


@pytest.mark.parametrize("prefix", [b"", BOM], ids=["plain", "bom"])
@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b""], ids=["lf", "crlf", "end of file"])
def test_a_line_may_have_as_many_bytes_as_allowed_and_not_one_more(prefix: bytes, ending: bytes) -> None:
    for size, codes in ((LINE_BYTES, []), (LINE_BYTES + 1, ["line_too_long"])):
        found = scanned(prefix + line_of(size) + ending, max_line_bytes=LINE_BYTES)
        assert [error.code for error in found.errors] == codes
        assert found.total_lines == 1


def test_a_line_that_is_too_long_hides_nothing_behind_it() -> None:
    content = jsonl([chat_line("a"), chat_line("long", "x" * 3_000_000), chat_line("b")])
    found = scanned(content)
    assert [(line.line, line.custom_id) for line in found.lines] == [(1, "a"), (3, "b")]
    assert problems(found) == [(2, "line_too_long", None)]
    assert found.sha256 == hashlib.sha256(content).hexdigest()


def test_a_request_far_behind_spaces_is_too_long_and_not_passed_over() -> None:
    found = scanned(jsonl([chat_line("a"), b" " * 5000 + orjson.dumps(chat_line("b")), chat_line("c")]))
    assert (found.total_lines, problems(found)) == (3, [(2, "line_too_long", None)])


def test_memory_does_not_grow_with_a_line() -> None:
    class Watched(io.BytesIO):
        longest = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            raw = super().readline(size)
            self.longest = max(self.longest, len(raw))
            return raw

    source = Watched(b"x" * 5_000_000)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        scan(source, ScanOptions(max_requests=1, max_line_bytes=4096), copy_to=nowhere)
    assert source.longest <= 1024 * 1024


def test_the_first_line_decides_the_endpoint_and_the_model() -> None:
    other_url = {**chat_line("b"), "url": "/v1/completions", "body": {"model": "gpt-4", "prompt": "p"}}
    other_model = chat_line("c", model="other")
    found = scanned(jsonl([chat_line("a"), other_url, other_model]))
    assert problems(found) == [(2, "invalid_url", "url"), (3, "model_mismatch", "body.model")]
    assert [line.custom_id for line in found.lines] == ["a"]


def test_an_endpoint_given_with_the_batch_binds_every_line() -> None:
    found = scanned(jsonl([chat_line("a")]), endpoint="/v1/embeddings")
    assert problems(found) == [(1, "invalid_url", "url")]


def test_a_model_given_with_the_batch_overrides_the_bodies() -> None:
    found = scanned(jsonl([chat_line("a"), chat_line("b", model="other")]), model="mine")
    assert (found.total_errors, found.model) == (0, "mine")


def test_a_model_that_is_not_served_is_named_on_every_line_that_asks_for_it() -> None:
    found = scanned(jsonl(chat_lines(2)), is_known_model=lambda name: name != "gpt-4")
    assert problems(found) == [(1, "model_not_found", "body.model"), (2, "model_not_found", "body.model")]


def test_a_custom_id_used_twice_names_the_line_that_had_it_first() -> None:
    found = scanned(jsonl([chat_line("a"), chat_line("b"), chat_line("a")]))
    assert problems(found) == [(3, "duplicate_custom_id", "custom_id")]
    assert "line 1" in found.errors[0].message


def test_a_bad_line_takes_its_custom_id_all_the_same() -> None:
    found = scanned(jsonl([chat_line("a", stream=True), chat_line("a"), chat_line("b")]))
    assert problems(found) == [
        (1, "streaming_unsupported", "body.stream"),
        (2, "duplicate_custom_id", "custom_id"),
    ]


def test_custom_ids_that_only_look_alike_are_different() -> None:
    assert (
        scanned(jsonl([chat_line("é"), chat_line("e\u0301"), chat_line("É"), chat_line("é ")])).total_errors
        == 0
    )


def test_lines_past_the_limit_are_counted_and_not_kept() -> None:
    found = scanned(jsonl([*chat_lines(3), b"nonsense"]), max_requests=2)
    assert (found.total_lines, len(found.lines), found.total_errors) == (4, 2, 0)


def test_the_report_is_capped_and_says_how_many_errors_there_are() -> None:
    found = scanned(b"nonsense\n" * 150, max_requests=200)
    assert (len(found.errors), found.total_errors) == (MAX_REPORTED_ERRORS, 150)
    assert found.errors[-1].line == MAX_REPORTED_ERRORS
