"""The form: its fields in any order, what they may say, and what a broken one is told."""

import gc
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.errors import bad_lines, error_of
from tests.api.forms import BOUNDARY, HEADERS, file, form, text
from tests.api.served import MODEL, Api
from tests.lines import chat_line, chat_lines, jsonl

LINES = jsonl(chat_lines(2))


def submitted(api: Api, *parts: bytes) -> Any:
    answer = api.post("/v1/batches", **form(*parts))
    assert answer.status_code == 200, answer.text
    return api.batch(answer.json()["batch_id"])


def test_fields_come_in_any_order(api: Api) -> None:
    model, priority = text("model", MODEL), text("priority", "7")

    for parts in (
        (file(LINES), model, priority),
        (priority, model, file(LINES)),
        (model, file(LINES), priority),
    ):
        batch = submitted(api, *parts)
        assert (batch["model"], batch["priority"], batch["total_requests"]) == (MODEL, 7, 2)


def test_a_form_without_a_model_takes_it_from_the_lines(api: Api) -> None:
    assert submitted(api, file(LINES))["model"] == "gpt-4"


def test_a_form_with_an_empty_model_takes_it_from_the_lines(api: Api) -> None:
    assert submitted(api, text("model", " "), file(LINES))["model"] == "gpt-4"


@pytest.mark.parametrize(
    "model", ["x" * 100_000, "two\nlines", "esc\x1b[31m", "nul\x00"], ids=["long", "newline", "escape", "nul"]
)
def test_a_model_name_that_would_spoil_a_list_or_a_log_is_refused(api: Api, model: str) -> None:
    by_form = api.submit(1, model=model)
    by_line = api.submit([chat_line("a", model=model)], model="")

    assert error_of(by_form, 400)["param"] == "model"
    assert [param for _line, param, _code in bad_lines(by_line)] == ["body.model"]
    assert api.has_stored_nothing()


def test_the_forms_model_may_be_other_than_the_lines_and_theirs_may_differ(api: Api) -> None:
    lines = jsonl([chat_line("a"), chat_line("b", model="other"), chat_line("c", model=None)])
    assert submitted(api, file(lines), text("model", MODEL))["model"] == MODEL


def test_any_filename_is_taken_as_a_label_only(serve: Callable[..., Api]) -> None:
    api = serve(max_active_batches=10)
    for filename in (
        "upload",
        "кандидаты.txt",
        "../../etc/passwd",
        "no extension",
        "x" * 300,
        "bell\x07.jsonl",
    ):
        batch = submitted(api, file(LINES, filename=filename), text("model", MODEL))
        assert batch["filename"].isprintable()
        assert len(batch["filename"]) <= 255
        assert str(api.settings.files_dir / f"{batch['input_file_id']}.jsonl") in api.stored()["paths"]
    assert len(api.stored()["paths"]) == 6


def test_the_same_filename_twice_is_two_files(api: Api) -> None:
    first, second = submitted(api, file(LINES)), submitted(api, file(LINES))
    assert first["input_file_id"] != second["input_file_id"]


def test_priority_is_a_whole_number(serve: Callable[..., Api]) -> None:
    api, given = serve(max_active_batches=10), {"-100": -100, "100": 100, "+5": 5, " 7 ": 7, "": 0}
    assert {text: api.batch(api.accepted(priority=text))["priority"] for text in given} == given


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("priority", ["101", "-101", "1.5", "high", "1e2", "9" * 5000]),
        ("completion_window", ["7d", "24", "24H", "forever", "0h"]),
        ("order", ["AUTO", "random", "true"]),
        ("deduplicate", ["yes", "1", "True"]),
        ("use_cache", ["on"]),
    ],
)
def test_a_field_says_what_it_can_be(api: Api, field: str, values: list[str]) -> None:
    for value in values:
        error = error_of(api.submit(**{field: value}), 400, "invalid_value")
        assert error["param"] == field
        hint = {
            "priority": "100",
            "completion_window": "24h",
            "order": "submission",
            "deduplicate": "true or false",
            "use_cache": "true or false",
        }[field]
        assert hint in error["message"]
    assert api.has_stored_nothing()


def test_metadata_comes_back_as_it_was_given(api: Api) -> None:
    for metadata in ({}, {f"key-{i}": "x" for i in range(16)}, {"k" * 64: "v" * 512}, {"имя": "значение"}):
        assert api.batch(api.accepted(metadata=json.dumps(metadata)))["metadata"] == metadata


BAD_METADATA = [
    ('{"tags": ["a"]}', "invalid_type", "metadata.tags"),
    ('{"count": 3}', "invalid_type", "metadata.count"),
    ('{"nothing": null}', "invalid_type", "metadata.nothing"),
    (json.dumps({f"key-{i}": "x" for i in range(17)}), "invalid_type", "metadata"),
    (json.dumps({"k" * 65: "v"}), "invalid_type", "metadata." + "k" * 65),
    (json.dumps({"k": "v" * 513}), "invalid_type", "metadata.k"),
    ("[]", "invalid_type", "metadata"),
    ('"text"', "invalid_type", "metadata"),
    ("not json", "invalid_value", "metadata"),
    ("[" * 100_000, "invalid_value", "metadata"),
]


def test_metadata_is_up_to_16_pairs_of_short_strings(api: Api) -> None:
    for metadata, code, param in BAD_METADATA:
        assert error_of(api.submit(metadata=metadata), 400, code)["param"] == param
    assert api.has_stored_nothing()


def test_metadata_of_the_wrong_type_is_told_what_it_was(api: Api) -> None:
    assert "list" in error_of(api.submit(metadata='{"tags": ["a"]}'), 400, "invalid_type")["message"]


@pytest.mark.parametrize("metadata", [r'{"name": "\ud800"}', r'{"\udfff": "x"}', '{"n": ' + "1" * 5000 + "}"])
def test_metadata_that_is_no_text_is_refused_and_spoils_no_list(api: Api, metadata: str) -> None:
    answer = api.submit(metadata=metadata)

    assert api.get("/v1/batches").status_code == 200
    error_of(answer, 400)
    assert api.has_stored_nothing()


def test_an_operator_may_offer_other_windows(serve: Any) -> None:
    api = serve(completion_windows="24h, 7d")
    batch = api.batch(api.accepted(completion_window="7d"))
    assert batch["expires_at"] == batch["created_at"] + 7 * 86400


def test_an_unknown_field_is_named(api: Api) -> None:
    error = error_of(api.submit(temperature="0.7"), 400, "unknown_parameter")
    assert error["param"] == "temperature"
    assert "completion_window" in error["message"]
    assert api.has_stored_nothing()


def test_a_missing_file_or_a_field_of_the_wrong_kind_is_named(api: Api) -> None:
    broken = [
        ((text("model", MODEL),), "file"),
        ((text("model", MODEL), text("file", LINES)), "file"),
        ((file(MODEL, name="model"), text("priority", "1")), "file"),
        ((file(MODEL, name="model"), text("file", LINES)), "file"),
    ]
    for parts, param in broken:
        assert error_of(api.post("/v1/batches", **form(*parts)), 400)["param"] == param
    assert api.has_stored_nothing()


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("file", [file(LINES), file(LINES)]),
        ("file", [text("file", LINES), file(LINES)]),
        ("model", [text("model", MODEL), file(LINES), text("model", MODEL)]),
        ("metadata", [file(LINES), text("metadata", '{"a": "b"}'), text("metadata", "")]),
    ],
)
def test_a_field_that_is_sent_twice_is_refused_by_its_name(api: Api, name: str, parts: list[bytes]) -> None:
    error = error_of(api.post("/v1/batches", **form(*parts)), 400, "invalid_form")
    assert (error["param"], error["message"]) == (
        name,
        f"The form has '{name}' more than once: send it once.",
    )
    gc.collect()  # an upload that is not closed is noticed now
    assert api.has_stored_nothing()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", b"\xff\xfe"),
        ("metadata", b'{"a": "\xff"}'),
        ("priority", b"1\x80"),
        ("model", b"\xed\xa0\x80"),
    ],
)
def test_a_field_that_is_not_in_utf8_is_refused_by_its_name(api: Api, name: str, value: bytes) -> None:
    for parts in ((text(name, value), file(LINES)), (file(LINES), text(name, value))):
        error = error_of(api.post("/v1/batches", **form(*parts)), 400, "invalid_form")
        assert error["param"] == name
        assert "send it in UTF-8" in error["message"]
    gc.collect()  # an upload that is not closed is noticed now
    assert api.has_stored_nothing()


def test_another_content_type_is_told_how_to_send_a_form(api: Api) -> None:
    for content_type in ("application/json", "text/plain", "application/x-www-form-urlencoded", ""):
        answer = api.post("/v1/batches", content=b'{"model": "x"}', headers={"content-type": content_type})
        assert answer.status_code in {400, 415}
        assert error_of(answer, answer.status_code)["message"]
    assert api.has_stored_nothing()


def test_a_content_type_is_read_in_any_case(api: Api) -> None:
    headers = {"content-type": f"Multipart/Form-Data; boundary={BOUNDARY.decode()}"}
    assert api.post("/v1/batches", **form(file(LINES), headers=headers)).status_code == 200


WHOLE = form(text("model", MODEL), file(LINES))["content"]


def test_a_broken_form_is_refused(api: Api) -> None:
    nameless = b"--" + BOUNDARY + b"\r\n\r\nno name\r\n--" + BOUNDARY + b"--\r\n"
    broken = [
        (WHOLE, "multipart/form-data"),
        (WHOLE, "multipart/form-data; boundary=another"),
        (b"not a form at all", HEADERS["content-type"]),
        (b"", HEADERS["content-type"]),
        (nameless, HEADERS["content-type"]),
    ]
    for content, content_type in broken:
        error_of(api.post("/v1/batches", content=content, headers={"content-type": content_type}), 400)
    assert api.has_stored_nothing()


@pytest.mark.parametrize("last", ["candidate-1", 'name="model"', MODEL[-4:]], ids=["file", "field", "value"])
def test_a_form_that_ends_too_early_is_refused(api: Api, last: str) -> None:
    """In whatever part it breaks off: without its model, for one, the batch would be another one."""
    whole = form(file(LINES), text("model", MODEL))["content"]
    cut = whole[: whole.index(last.encode())]

    error_of(api.post("/v1/batches", content=cut, headers=HEADERS), 400)
    gc.collect()  # an upload that is not closed is noticed now
    assert api.has_stored_nothing()


def test_a_form_in_another_charset_is_no_crash(api: Api) -> None:
    headers = {"content-type": f"{HEADERS['content-type']}; charset=utf-7"}
    answer = api.post("/v1/batches", **form(file(LINES), text("model", "+2AA-"), headers=headers))

    error_of(answer, 400)
    assert api.has_stored_nothing()
