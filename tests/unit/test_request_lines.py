"""One input line: what is a request, what is an error and which, and what the engine gets."""

from typing import Any

import orjson
import pytest

from batch_app.input.request_lines import (
    ENDPOINTS,
    MAX_CUSTOM_ID,
    ParsedRequest,
    RejectedLine,
    check_line,
    engine_body,
)
from tests.lines import chat_line


def check(line: Any, *, model_given: bool = False) -> Any:
    """The request, or its errors."""
    raw = line if isinstance(line, bytes) else orjson.dumps(line)
    found = check_line(raw, 7, model_given=model_given)
    return found.errors if isinstance(found, RejectedLine) else found


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in chat_line("a").items() if key != name}


def asking(url: str, **body: Any) -> dict[str, Any]:
    return {"custom_id": "a", "method": "POST", "url": url, "body": {"model": "m", **body}}


def picture(url: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]


def test_a_well_formed_line_is_a_request() -> None:
    line = chat_line("a")
    assert check(line) == ParsedRequest("a", "/v1/chat/completions", "gpt-4", line["body"])


@pytest.mark.parametrize(
    "line",
    [
        chat_line("a", stream=False),
        chat_line("a", stream=None, temperature=None),
        chat_line("a", temperature=0.5, unheard_of={"x": [1, 2]}),
        {**chat_line("a"), "unheard_of": 1},
        chat_line("x" * MAX_CUSTOM_ID),
        chat_line("Ünïcödé 候補 🎯"),
        chat_line("a", messages=picture("data:image/png;base64,AAAA")),
        b"  " + orjson.dumps(chat_line("a")) + b"  ",
    ],
)
def test_what_openai_tolerates_is_tolerated(line: Any) -> None:
    assert isinstance(check(line), ParsedRequest)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff\xfe", b"nonsense", b'{"a": NaN}', b"[1]", b'"text"', b"null"]
)
def test_a_line_that_is_not_a_json_object_says_so(raw: bytes) -> None:
    [error] = check(raw)
    assert (error.line, error.code, error.param) == (7, "invalid_json_line", None)


@pytest.mark.parametrize("name", ["custom_id", "method", "url", "body"])
def test_a_missing_field_is_named_and_null_counts_as_missing(name: str) -> None:
    for line in (without(name), {**chat_line("a"), name: None}):
        [error] = check(line)
        assert (error.code, error.param) == ("missing_required_parameter", name)
        assert error.message == f"Missing required parameter: '{name}'."


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"custom_id": 5}, "invalid_type", "custom_id"),
        ({"custom_id": ["a"]}, "invalid_type", "custom_id"),
        ({"custom_id": ""}, "invalid_value", "custom_id"),
        ({"custom_id": "x" * (MAX_CUSTOM_ID + 1)}, "invalid_value", "custom_id"),
        ({"custom_id": "two\nlines"}, "invalid_value", "custom_id"),
        ({"custom_id": "nul\x00"}, "invalid_value", "custom_id"),
        ({"method": "GET"}, "invalid_value", "method"),
        ({"method": 1}, "invalid_value", "method"),
        ({"url": "/v1/files"}, "invalid_url", "url"),
        ({"url": "http://localhost/v1/chat/completions"}, "invalid_url", "url"),
        ({"url": ["/v1/chat/completions"]}, "invalid_url", "url"),
        ({"body": "text"}, "invalid_type", "body"),
        ({"body": []}, "invalid_type", "body"),
    ],
)
def test_a_wrong_field_is_named_with_its_cause(changes: dict[str, Any], code: str, param: str) -> None:
    [error] = check({**chat_line("a"), **changes})
    assert (error.code, error.param) == (code, param)


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"stream": True}, "streaming_unsupported", "body.stream"),
        ({"stream": 1}, "streaming_unsupported", "body.stream"),
        ({"model": None}, "invalid_request", "body.model"),
        ({"model": ""}, "invalid_request", "body.model"),
        ({"model": 5}, "invalid_request", "body.model"),
        ({"messages": None}, "invalid_request", "body.messages"),
        ({"messages": []}, "invalid_request", "body.messages"),
    ],
)
def test_a_wrong_body_is_named_with_its_path(body: dict[str, Any], code: str, param: str) -> None:
    [error] = check(chat_line("a", **body))
    assert (error.code, error.param) == (code, param)


def test_every_error_of_a_line_is_listed_at_once() -> None:
    errors = check({"method": "GET", "url": "/v1/chat/completions", "body": {"stream": True}})
    assert {error.param for error in errors} == {
        "custom_id",
        "method",
        "body.stream",
        "body.model",
        "body.messages",
    }


def test_a_model_in_the_bodies_is_not_needed_when_the_batch_names_it() -> None:
    line = chat_line("a")
    del line["body"]["model"]
    assert check(line, model_given=True) == ParsedRequest("a", "/v1/chat/completions", None, line["body"])


@pytest.mark.parametrize(("url", "needed"), ENDPOINTS.items())
def test_each_endpoint_asks_for_the_fields_it_cannot_do_without(url: str, needed: tuple[str, ...]) -> None:
    assert isinstance(check(asking(url, **dict.fromkeys(needed, "text"))), ParsedRequest)
    for name in needed:
        [error] = check(asking(url, **{other: "text" for other in needed if other != name}))
        assert (error.code, error.param) == ("invalid_request", f"body.{name}")


@pytest.mark.parametrize(
    "body",
    [
        {"messages": picture("https://example.com/cat.png")},
        {"messages": picture("http://169.254.169.254/latest/meta-data")},
        {"messages": picture("file:///etc/passwd")},
        {"messages": [{"role": "user", "content": [{"image_url": "http://localhost/"}]}]},
        {"messages": [{"role": "user", "content": [{"audio_url": {"url": "//host/a.wav"}}]}]},
        {"extra": [[{"deep": {"video_url": "ftp://host/v"}}]]},
        {"extra": {"file_url": " data:"}},
    ],
)
def test_a_body_cannot_make_the_engine_fetch_from_anywhere(body: dict[str, Any]) -> None:
    [error] = check(chat_line("a", **body))
    assert (error.code, error.param) == ("invalid_request", "body")


def test_the_engine_gets_the_served_model_and_never_a_stream() -> None:
    line = chat_line("a", stream=False, stream_options={"include_usage": True}, temperature=0.5, seed=None)
    body = orjson.loads(engine_body(orjson.dumps(line), model="served"))
    assert body == {"model": "served", "messages": line["body"]["messages"], "temperature": 0.5, "seed": None}


@pytest.mark.parametrize("depth", [50, 250, 254, 600, 1_020, 1_100, 100_000])
def test_a_body_nested_too_deeply_for_the_engine_is_refused_at_the_door(depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    raw = orjson.dumps(chat_line("a", messages="HERE")).replace(b'"HERE"', nested)
    if isinstance(check(raw), ParsedRequest):
        assert nested in engine_body(raw, model="m")
