"""OpenAI's dialect, what is wrong with a file: the batch made of it fails, and its errors name code, line and field."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.errors import error_of
from tests.api.openai_dialect import CHAT, create, created, ended, lines_of, upload
from tests.api.served import Api
from tests.lines import chat_line, chat_lines, jsonl

GOOD = chat_line("good")
NOT_JSON = "This line is not parseable as valid JSON."
STREAMING = "A batch cannot stream: remove 'stream' or set it to false."


def without(*path: str) -> dict[str, Any]:
    """A request that lacks the field at this path."""
    line = inner = chat_line("bad")
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return line


def at(url: str, **body: Any) -> dict[str, Any]:
    """A request to another endpoint; its body is a chat's unless told otherwise."""
    return {**chat_line("bad"), "url": url, "body": body or chat_line("bad")["body"]}


def missing(name: str) -> list[Any]:
    code, message = "missing_required_parameter", f"Missing required parameter: '{name}'."
    return [
        pytest.param(line, code, name, message, id=f"{name} {how}")
        for line, how in ((without(name), "missing"), ({**chat_line("bad"), name: None}, "null"))
    ]


# The second line of a file whose first is good: its code, its field, and how the message begins.
SITUATIONS = [
    pytest.param(b"not json", "invalid_json_line", None, NOT_JSON, id="not JSON"),
    pytest.param(b'{"custom_id": "cut', "invalid_json_line", None, NOT_JSON, id="JSON that is cut off"),
    pytest.param(b"[1, 2]", "invalid_json_line", None, "This line is valid JSON but not", id="no object"),
    *missing("custom_id"),
    *missing("method"),
    *missing("url"),
    *missing("body"),
    pytest.param(at("/v1/models"), "invalid_url", "url", "'url' must be one of", id="url unknown"),
    pytest.param(
        at("/v1/embeddings", model="gpt-4", input="x"),
        "invalid_url", "url", f"'url' is /v1/embeddings, but this batch's endpoint is {CHAT}",
        id="url of another endpoint, with its body",
    ),
    pytest.param(
        at("/v1/completions"),
        "invalid_url", "url", f"'url' is /v1/completions, but this batch's endpoint is {CHAT}",
        id="url of another endpoint, with a chat's body",
    ),
    pytest.param(
        chat_line("bad", stream=True), "streaming_unsupported", "body.stream", STREAMING, id="stream true"
    ),
    pytest.param(
        without("body", "model"), "invalid_request", "body.model", "'body.model' must name", id="no model"
    ),
    pytest.param(
        without("body", "messages"), "invalid_request", "body.messages", f"{CHAT} needs 'body.messages'",
        id="no messages",
    ),
    pytest.param(
        chat_line("good"), "duplicate_custom_id", "custom_id", "'custom_id' 'good' was already used on line 1",
        id="duplicate custom_id",
    ),
    pytest.param(
        chat_line("bad", model="other"),
        "model_mismatch", "body.model", "The model is 'other', but this batch's is 'gpt-4'",
        id="another model than the first line's",
    ),
    pytest.param(
        chat_line("x" * 513), "invalid_value", "custom_id", "'custom_id' has 513 characters; 1 to 512",
        id="custom_id too long",
    ),
    pytest.param(
        chat_line("tab\there"), "invalid_value", "custom_id", "'custom_id' has a control character",
        id="control character in custom_id",
    ),
]  # fmt: skip


def problems(batch: dict[str, Any]) -> list[tuple[str, int | None, str | None]]:
    """(code, line, param) of every error of a batch that failed."""
    assert (batch["status"], batch["errors"]["object"]) == ("failed", "list")
    assert type(batch["failed_at"]) is int
    assert batch["request_counts"] == {"total": 0, "completed": 0, "failed": 0}
    assert all(error.keys() == {"code", "message", "param", "line"} for error in batch["errors"]["data"])
    return [(error["code"], error["line"], error["param"]) for error in batch["errors"]["data"]]


def looked_at(api: Api, content: Any, **changes: Any) -> Any:
    """A batch as its first poll shows it: the creation itself tells nothing of what is wrong."""
    answer = created(api, content, **changes)
    assert (answer["status"], answer["errors"], answer["failed_at"]) == ("validating", None, None)
    return api.batch(answer["id"])


@pytest.mark.parametrize(("line", "code", "param", "message"), SITUATIONS)
def test_a_bad_line_fails_the_batch_with_its_code_line_and_field(
    api: Api, line: Any, code: str, param: str | None, message: str
) -> None:
    batch = looked_at(api, [GOOD, line])

    assert problems(batch) == [(code, 2, param)]
    assert batch["errors"]["data"][0]["message"].startswith(message)


def test_an_unknown_model_is_named_with_its_line(serve: Callable[..., Api]) -> None:
    api = serve(allow_unlisted_models=False)
    batch = looked_at(api, [chat_line("a", model="smollm2"), chat_line("b", model="unknown")])

    assert problems(batch) == [("model_not_found", 2, "body.model")]
    assert "'unknown'" in batch["errors"]["data"][0]["message"]


def test_a_line_of_another_endpoint_has_that_error_whatever_else_is_wrong_with_it(api: Api) -> None:
    streaming = {**at("/v1/completions"), "body": {"model": "gpt-4", "stream": True}}
    assert problems(looked_at(api, [GOOD, streaming])) == [
        ("invalid_url", 2, "url"),
        ("streaming_unsupported", 2, "body.stream"),
    ]


def test_the_batchs_endpoint_decides_and_not_the_first_line(api: Api) -> None:
    batch = looked_at(api, chat_lines(2), endpoint="/v1/completions")
    assert problems(batch) == [("invalid_url", 1, "url"), ("invalid_url", 2, "url")]


def test_five_bad_lines_of_different_kinds_among_a_hundred_are_five_errors(api: Api) -> None:
    lines: list[Any] = chat_lines(100)
    lines[6] = b"not json"
    lines[20] = without("custom_id")
    lines[41] = at("/v1/embeddings")
    lines[77] = chat_line("candidate-77", stream=True)
    lines[99] = chat_line("candidate-3")

    assert problems(looked_at(api, lines)) == [
        ("invalid_json_line", 7, None),
        ("missing_required_parameter", 21, "custom_id"),
        ("invalid_url", 42, "url"),
        ("streaming_unsupported", 78, "body.stream"),
        ("duplicate_custom_id", 100, "custom_id"),
    ]


def test_every_line_that_is_not_json_is_listed(api: Api) -> None:
    batch = looked_at(api, [GOOD, *[b"oops"] * 99])
    assert problems(batch) == [("invalid_json_line", line, None) for line in range(2, 101)]


def test_more_errors_than_a_person_reads_are_counted(api: Api) -> None:
    errors = api.batch(created(api, [GOOD, *[b"oops"] * 150])["id"])["errors"]["data"]
    assert [error["line"] for error in errors] == [*range(2, 102), None]
    assert (errors[-1]["code"], errors[-1]["message"]) == (
        "more_errors", "The file has 150 errors; the first 100 are listed."
    )  # fmt: skip


def test_one_line_of_json_among_any_number_of_others_makes_an_upload(api: Api) -> None:
    assert upload(api, [*[b"oops"] * 150, {"custom_id": "flawed"}]).status_code == 200
    assert upload(api, [b"oops"] * 150).status_code == 400


def test_a_batch_that_failed_at_its_lines_is_never_worked_on(api: Api) -> None:
    batch = ended(api, [GOOD, b"oops"])

    assert batch["status"] == "failed"
    assert batch["in_progress_at"] is None
    assert (batch["output_file_id"], batch["error_file_id"]) == (None, None)


def test_a_batch_of_an_unknown_file_is_created_and_then_failed(api: Api) -> None:
    unknown = f"file-{'0' * 24}"
    answer = create(api, unknown)
    assert (answer.status_code, answer.json()["status"]) == (200, "validating")

    batch = api.batch(answer.json()["id"])

    assert problems(batch) == [("invalid_request", None, "file_id")]
    assert unknown in batch["errors"]["data"][0]["message"]
    assert batch["input_file_id"] == unknown


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\r\n \n", b"\xef\xbb\xbf", b"hello\nworld\n", b"[1]\n"],
    ids=["empty", "blank lines", "only a BOM", "text", "no objects"],
)
def test_an_upload_without_a_single_request_is_refused(api: Api, content: bytes) -> None:
    error = error_of(upload(api, content), 400)

    assert error["message"] == "Invalid file format for Batch API. Must be .jsonl"
    assert error["type"] == "invalid_request_error"
    assert api.has_stored_nothing()


@pytest.mark.parametrize(
    "body",
    [{"stream": False}, {"stream": None, "temperature": None, "tools": None, "stream_options": None}],
    ids=["stream false", "explicit nulls"],
)
def test_a_body_that_does_not_stream_and_has_nulls_is_fine(api: Api, body: dict[str, Any]) -> None:
    batch = ended(api, [chat_line("a", **body)])
    assert (batch["status"], batch["request_counts"]["completed"]) == ("completed", 1)


@pytest.mark.parametrize("custom_id", ["x" * 512, "кандидат 候補 🙂", "../../etc/passwd", "' OR 1=1 --"])
def test_a_custom_id_of_up_to_512_characters_comes_back_as_it_was(api: Api, custom_id: str) -> None:
    [line] = lines_of(api, ended(api, [chat_line(custom_id)])["output_file_id"])
    assert line["custom_id"] == custom_id


PLAIN = jsonl(chat_lines(2))


@pytest.mark.parametrize(
    "content",
    [
        PLAIN + b"\n\n  \n",
        PLAIN.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + PLAIN,
        PLAIN.rstrip(b"\n"),
    ],
    ids=["blank lines at the end", "CRLF", "BOM", "no newline at the end"],
)
def test_what_editors_do_to_a_file_makes_no_requests_and_no_errors(api: Api, content: bytes) -> None:
    batch = ended(api, content)

    assert batch["request_counts"] == {"total": 2, "completed": 2, "failed": 0}
    lines = lines_of(api, batch["output_file_id"])
    assert sorted(line["custom_id"] for line in lines) == ["candidate-0", "candidate-1"]
