"""The lines of a file: every bad one is reported with its number, field and code, and nothing is stored."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.errors import bad_lines, error_of
from tests.api.served import Api
from tests.lines import chat_line, chat_lines, jsonl


def without(name: str) -> dict[str, Any]:
    line = chat_line("x")
    del line[name]
    return line


def own_id(line: Any, n: int) -> Any:
    """The line with another custom_id than its neighbours, where that is not what it is about."""
    return (
        {**line, "custom_id": f"x-{n}"} if isinstance(line, dict) and line.get("custom_id") == "x" else line
    )


def image(url: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]


EMBEDDING = {**chat_line("other-endpoint"), "url": "/v1/embeddings", "body": {"input": "text"}}
NOT_JSON = "invalid_json_line"
MISSING = "missing_required_parameter"
FOREIGN = "http://169.254.169.254/latest/meta-data"

# A line and the errors it has, whatever model the form names.
BAD: list[tuple[Any, list[tuple[str | None, str]]]] = [
    (b"not json", [(None, NOT_JSON)]),
    (b"[1, 2]", [(None, NOT_JSON)]),
    (b'"text"', [(None, NOT_JSON)]),
    (b'{"custom_id": "cut', [(None, NOT_JSON)]),
    (b'{"a": NaN}', [(None, NOT_JSON)]),
    (b'{"a": Infinity}', [(None, NOT_JSON)]),
    (b'{"a": "\xff\xfe"}', [(None, NOT_JSON)]),
    (b'{"a": "\\ud800"}', [(None, NOT_JSON)]),
    (b"[" * 100_000, [(None, NOT_JSON)]),
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, [(None, NOT_JSON)]),
    (without("custom_id"), [("custom_id", MISSING)]),
    (without("method"), [("method", MISSING)]),
    (without("url"), [("url", MISSING)]),
    (without("body"), [("body", MISSING)]),
    ({}, [("custom_id", MISSING), ("method", MISSING), ("url", MISSING), ("body", MISSING)]),
    ({**chat_line("x"), "custom_id": None}, [("custom_id", MISSING)]),
    ({**chat_line("x"), "custom_id": 7}, [("custom_id", "invalid_type")]),
    (chat_line(""), [("custom_id", "invalid_value")]),
    (chat_line("x" * 513), [("custom_id", "invalid_value")]),
    (chat_line("line\nbreak"), [("custom_id", "invalid_value")]),
    (chat_line("nul\x00"), [("custom_id", "invalid_value")]),
    ({**chat_line("x"), "method": "GET"}, [("method", "invalid_value")]),
    ({**chat_line("x"), "url": "/v1/models"}, [("url", "invalid_url")]),
    ({**chat_line("x"), "url": "http://127.0.0.1:4080/v1/chat/completions"}, [("url", "invalid_url")]),
    ({**chat_line("x"), "url": "/v1/chat/completions/../models"}, [("url", "invalid_url")]),
    ({**chat_line("x"), "url": ["/v1/chat/completions"]}, [("url", "invalid_url")]),
    ({**chat_line("x"), "body": "text"}, [("body", "invalid_type")]),
    ({**chat_line("x"), "body": []}, [("body", "invalid_type")]),
    (chat_line("x", stream=True), [("body.stream", "streaming_unsupported")]),
    (chat_line("x", messages=[]), [("body.messages", "invalid_request")]),
    ({**chat_line("x"), "body": {"model": "m"}}, [("body.messages", "invalid_request")]),
    (chat_line("x", messages=image(FOREIGN)), [("body", "invalid_request")]),
    (EMBEDDING, [("url", "invalid_url")]),
    (chat_line("good"), [("custom_id", "duplicate_custom_id")]),
]


def test_every_error_of_every_line_is_reported(api: Api) -> None:
    lines = jsonl([chat_line("good"), *(own_id(line, n) for n, (line, _errors) in enumerate(BAD))])
    expected = [(n, param, code) for n, (_line, errors) in enumerate(BAD, 2) for param, code in errors]

    answer = api.submit(lines)

    assert bad_lines(answer) == expected
    assert answer.json()["error"]["total_errors"] == len(expected)
    assert api.has_stored_nothing()


def test_a_missing_field_is_told_in_openais_words(api: Api) -> None:
    [error] = error_of(api.submit([without("custom_id")]), 400)["errors"]
    assert error["message"] == "Missing required parameter: 'custom_id'."


def test_without_a_model_in_the_form_every_line_must_name_the_same(api: Api) -> None:
    lines = [
        chat_line("a"),
        chat_line("b", model="other"),
        chat_line("c", model=None),
        chat_line("d", model=3),
    ]

    assert bad_lines(api.submit(lines, model="")) == [
        (2, "body.model", "model_mismatch"),
        (3, "body.model", "invalid_request"),
        (4, "body.model", "invalid_request"),
    ]
    assert api.has_stored_nothing()


def test_unlisted_models_can_be_forbidden(serve: Callable[..., Api]) -> None:
    api = serve(allow_unlisted_models=False)

    by_line = api.submit([chat_line("a", model="smollm2"), chat_line("b", model="unknown")], model="")
    by_form = api.submit(2, model="unknown")

    assert bad_lines(by_line) == [(2, "body.model", "model_not_found")]
    assert error_of(by_form, by_form.status_code, "model_not_found")["param"] == "model"
    assert by_form.status_code in {400, 404}
    assert api.has_stored_nothing()
    assert api.submit(2, model="smollm2").status_code == 200


@pytest.mark.parametrize("model", ["HuggingFaceTB/SmolLM2-135M-Instruct", ""])
def test_what_is_not_an_error_is_accepted(api: Api, model: str) -> None:
    good = [
        chat_line("stream false", stream=False),
        chat_line("nulls", stream=None, temperature=None, tools=None),
        chat_line("x" * 512),
        chat_line("кандидат 候補 🙂"),
        chat_line("inline image", messages=image("data:image/png;base64,AAAA")),
        chat_line("unknown body field", **{"x-vendor": {"deep": [[[1.5e300]]]}}),
        {**chat_line("extra key"), "comment": "kept out of the way"},
    ]
    batch_id = api.finished(good, model=model)
    assert {line["custom_id"] for line in api.results(batch_id)} == {line["custom_id"] for line in good}


def test_one_bad_line_among_good_ones_stores_nothing(api: Api) -> None:
    assert bad_lines(api.submit([*chat_lines(5), b"oops", chat_line("last")])) == [(6, None, NOT_JSON)]
    assert api.has_stored_nothing()


def test_errors_are_capped_at_100_with_their_total(api: Api) -> None:
    answer = api.submit([b"oops"] * 250)

    assert bad_lines(answer) == [(line, None, NOT_JSON) for line in range(1, 101)]
    assert answer.json()["error"]["total_errors"] == 250
    assert "250 errors on 250 of 250 lines" in answer.json()["error"]["message"]
    message = error_of(api.submit([{}, *chat_lines(2)]), 400)["message"]
    assert "4 errors on 1 of 3 lines" in message


def test_a_duplicate_says_where_the_first_one_is(api: Api) -> None:
    error = error_of(api.submit([chat_line("a"), chat_line("b"), chat_line("a")]), 400)
    assert bad_lines(api.submit([chat_line("a"), chat_line("b"), chat_line("a")])) == [
        (3, "custom_id", "duplicate_custom_id")
    ]
    assert "line 1" in error["errors"][0]["message"]


@pytest.mark.parametrize(
    "content",
    [
        jsonl(chat_lines(2)) + b"\n\n  \n",
        jsonl(chat_lines(2)).replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + jsonl(chat_lines(2)),
        jsonl(chat_lines(2)).rstrip(b"\n"),
        b"\xef\xbb\xbf" + jsonl(chat_lines(2)).replace(b"\n", b"\r\n\r\n"),
    ],
    ids=["blank lines at the end", "CRLF", "BOM", "no newline at the end", "all of it"],
)
def test_what_editors_do_to_a_file_changes_nothing(api: Api, content: bytes) -> None:
    batch_id = api.finished(content)
    assert [line["custom_id"] for line in api.results(batch_id)] == ["candidate-0", "candidate-1"]
    assert api.batch(batch_id)["request_counts"] == {"total": 2, "completed": 2, "failed": 0}


def test_line_numbers_count_blank_lines_as_an_editor_does(api: Api) -> None:
    assert bad_lines(api.submit(b"\n" + jsonl(chat_lines(1)) + b"\r\noops\n")) == [(4, None, NOT_JSON)]


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n \n\t\n", b"\xef\xbb\xbf"])
def test_a_file_without_requests_is_refused(api: Api, content: bytes) -> None:
    assert error_of(api.submit(content), 400)["param"] == "file"
    assert api.has_stored_nothing()


def test_an_uploaded_file_is_kept_byte_for_byte(api: Api) -> None:
    content = b"\xef\xbb\xbf" + jsonl(chat_lines(2)).replace(b"\n", b"\r\n") + b"\n"
    file_id = api.submit(content).json()["input_file_id"]
    assert api.get(f"/v1/files/{file_id}/content").content == content
