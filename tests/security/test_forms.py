"""Uploads made to hurt: forms, encodings, names, JSON. Each is refused in the one error shape, or does nothing."""

import csv
import gzip
import io
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from tests.api.errors import bad_lines, error_of
from tests.api.forms import BOUNDARY, HEADERS, file, form, text
from tests.api.served import MODEL, Api
from tests.lines import chat_line, chat_lines, jsonl

LINES = jsonl(chat_lines(1))
QUICK_SECONDS = 20  # of processor time; attacks on the parsers of earlier versions took minutes, or for ever


def part(*headers: bytes, content: bytes = b"x") -> bytes:
    return (
        b"--"
        + BOUNDARY
        + b"\r\n"
        + b"".join(header + b"\r\n" for header in headers)
        + b"\r\n"
        + content
        + b"\r\n"
    )


NAMED = b'Content-Disposition: form-data; name="file"; filename="a.jsonl"'
HOSTILE_FORMS = {
    "a thousand headers in a part": [part(NAMED, *[b"x-%d: y" % i for i in range(1000)])],
    "a header of a megabyte": [part(NAMED, b"x: " + b"y" * 2**20)],
    "a header without end": [b"--" + BOUNDARY + b"\r\nContent-Disposition: " + b"x" * 2**20],
    "a name of a megabyte": [part(b'Content-Disposition: form-data; name="' + b"n" * 2**20 + b'"')],
    "ten thousand fields": [text(f"f{i}", "x") for i in range(10_000)],
    "the same field often": [text("priority", "1")] * 5000,
    "two files": [file(LINES), file(LINES)],
    "a field of two megabytes": [text("metadata", "x" * 2**21)],
    "a part without a name": [part(b"Content-Disposition: form-data")],
    "a part without a disposition": [part(b"Content-Type: text/plain")],
    "quotes without end": [
        part(b'Content-Disposition: form-data; name="file"; filename="' + b'\\"' * 100_000)
    ],
    "line ends without end": [b"\r\n" * 500_000],
    "what comes before a form": [b"x" * 2**20],
    "a file that is a field": [text("file", LINES)],
}


@pytest.mark.parametrize("parts", HOSTILE_FORMS.values(), ids=HOSTILE_FORMS)
def test_a_hostile_form_is_refused_quickly(api: Api, parts: list[bytes]) -> None:
    before = time.process_time()
    answer = api.post("/v1/batches", **form(*parts))
    error_of(answer, 400)
    assert time.process_time() - before < QUICK_SECONDS
    assert api.has_stored_nothing()
    assert api.submit(1).status_code == 200


@pytest.mark.parametrize("boundary", ["", "x" * 10_000, "a b", '"', "=", "\\"])
def test_an_odd_boundary_is_refused(api: Api, boundary: str) -> None:
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
    assert api.post("/v1/batches", content=form(file(LINES))["content"], headers=headers).status_code == 400
    assert api.has_stored_nothing()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
def test_a_compressed_upload_is_never_unpacked(api: Api, encoding: str) -> None:
    """A kilobyte could become a gigabyte."""
    bomb = gzip.compress(b"\n" * 10_000_000)
    answer = api.post("/v1/batches", **form(file(bomb), headers={"content-encoding": encoding}))
    assert bad_lines(answer)[0] == (1, None, "invalid_json_line")
    packed = gzip.compress(form(file(LINES))["content"])
    answer = api.post("/v1/batches", content=packed, headers={**HEADERS, "content-encoding": encoding})
    assert answer.status_code == 400
    assert api.has_stored_nothing()


@pytest.mark.parametrize(
    "filename",
    [
        "a\r\nSet-Cookie: x=1", "a\nb", 'a"; filename="b.html', "a%0d%0ab", "\u202egnp.exe", "a\x00b", "a\\b",
        "../../../etc/cron.d/x", "<script>alert(1)</script>", "\N{LINE SEPARATOR}x",
    ],
)  # fmt: skip
def test_no_filename_makes_a_header_of_its_own(api: Api, filename: str) -> None:
    raw = filename.replace("\r\n", "%0D%0A").replace('"', "%22") if "\n" in filename else filename
    answer = api.post("/v1/files", **form(file(LINES, filename=raw), text("purpose", "batch")))
    if answer.status_code == 400:  # a raw line end inside a part's header is no form
        return
    assert answer.json()["filename"].isprintable()
    content = api.get(f"/v1/files/{answer.json()['id']}/content")
    assert content.status_code == 200
    assert "set-cookie" not in content.headers
    assert content.headers["content-type"] == "application/octet-stream"
    assert content.headers["x-content-type-options"] == "nosniff"
    disposition = content.headers["content-disposition"]
    assert disposition.startswith("attachment; filename")
    assert disposition.isascii()
    assert disposition.isprintable()
    assert disposition.count("filename") == 1 or "%22" in disposition


@pytest.mark.parametrize(
    "raw",
    [
        b"NaN", b"Infinity", b"-Infinity", b"1e400", b"0x10", b"01", b"+1", b"1.", b"'a'", b'"\\ud800"',
        b'"\\udfff\\ud800"', b'"\xed\xa0\x80"', b'"\xc0\xaf"', b'"a\x01b"', b"[" * 100_000, b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
    ],
)  # fmt: skip
def test_json_that_readers_disagree_about_is_refused(api: Api, raw: bytes) -> None:
    line = orjson.dumps(chat_line("a", temperature="HERE")).replace(b'"HERE"', raw)
    assert bad_lines(api.submit(line + b"\n")) == [(1, None, "invalid_json_line")]
    answer = api.post(
        "/v1/batches",
        content=b'{"input_file_id": ' + raw[:60_000] + b"}",
        headers={"content-type": "application/json"},
    )
    error_of(answer, 400)
    assert api.get("/livez").status_code == 200


def test_numbers_of_any_length_are_taken_quickly_and_given_on_as_they_can_be(api: Api) -> None:
    line = orjson.dumps(chat_line("a", seed="HERE")).replace(b'"HERE"', b"9" * 200_000)
    before = time.process_time()
    assert api.submit(line + b"\n").status_code in {200, 400}
    assert time.process_time() - before < QUICK_SECONDS


class Counted:
    """A body without end; knows how much of it was taken."""

    def __init__(self) -> None:
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.taken < 50_000_000:
            self.taken += 10_000
            yield b" " * 10_000


def test_a_json_body_without_end_is_cut_off(api: Api) -> None:
    body = Counted()
    answer = api.post("/v1/batches", content=body, headers={"content-type": "application/json"})
    error_of(answer, 413)
    assert body.taken < 200_000


def test_many_ranges_cost_no_more_than_the_file(api: Api) -> None:
    file_id = api.batch(api.accepted(50))["input_file_id"]
    path = f"/v1/files/{file_id}/content"
    size = len(api.get(path).content)
    for ranges in (
        "0-," * 5000,
        "0-0," * 5000,
        ",".join(f"{i}-{i + 1}" for i in range(0, 3000, 2)),
        "-1," * 1000,
    ):
        before = time.process_time()
        answer = api.get(path, headers={"range": f"bytes={ranges.strip(',')}"})
        assert time.process_time() - before < QUICK_SECONDS
        assert answer.status_code in {200, 206, 400, 416}
        assert len(answer.content) <= 3 * size + 100_000


HOSTILE_WORDS = [
    "'", '"', "';DROP TABLE requests;--", "') OR 1=1 --", "%", "_", "%%%%%%%%%%%%%%%%%a", "\\", "(a+)+$", "[", "\x00",
    "a" * 500, "$", "\u0130", "json_extract(1,'$')",
]  # fmt: skip


@pytest.mark.parametrize("word", HOSTILE_WORDS)
def test_no_word_of_a_search_is_sql_or_a_pattern(api: Api, word: str) -> None:
    batch_id = api.finished(3)
    path = f"/v1/batches/{batch_id}"
    asked: list[tuple[str, dict[str, Any]]] = [
        *((f"{path}/requests", {name: word}) for name in ("text", "custom_id", "code")),
        *((f"{path}/answers", {name: word}) for name in ("text", "sort", "columns")),
        *((f"{path}/answers", {"where": where}) for where in (f"answer:contains:{word}", f"{word}:eq:1")),
        (f"{path}/distribution", {"column": word}),
        (f"{path}/export", {"columns": word}),
        ("/v1/webhook_deliveries", {"batch_id": word}),
        ("/v1/files", {"purpose": word}),
    ]
    for where, params in asked:
        answer = api.get(where, params=params)
        assert answer.status_code in {200, 400, 404}, (where, params, answer.text)
        if answer.status_code == 200 and where.endswith("/requests"):
            assert answer.json()["data"] == []
    assert api.batch(batch_id)["request_counts"]["completed"] == 3


def test_the_documentation_loads_nothing_from_elsewhere(api: Api) -> None:
    page = api.get("/docs").text
    assert 'src="/' in page or "src='/" in page
    assert "http://" not in page
    assert "https://" not in page


def test_no_page_elsewhere_may_load_an_answer_as_its_own(api: Api) -> None:
    for path in ("/health", "/v1/batches", "/v1/nothing", "/docs", "/metrics"):
        headers = api.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-site"


def test_a_formula_in_an_answer_is_a_text_in_a_spreadsheet(api: Api) -> None:
    hostile = [
        "=1+1",
        "+1",
        "-1+1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        '=HYPERLINK("http://x")',
        "=cmd|' /C calc'!A0",
    ]
    batch_id = api.finished(
        [chat_line(text_[:20].strip() + str(i), text_) for i, text_ in enumerate(hostile)], model=MODEL
    )
    rows = api.get(f"/v1/batches/{batch_id}/export", params={"columns": ["custom_id", "answer"]}).text

    for row in csv.DictReader(io.StringIO(rows)):
        for value in row.values():
            assert not value.startswith(("=", "+", "-", "@", "\t", "\r")), row
