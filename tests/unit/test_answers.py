"""What the ledger learns from an answer's body, and the lines that answer files are made of."""

from typing import Any

import orjson
import pytest

from batch_app.input.request_lines import AnswerFacts, answer_line, read_facts, unanswered_line

CHAT = {
    "choices": [{"index": 0, "message": {"content": "yes"}, "finish_reason": "length"}],
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 3,
        "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 2},
    },
}
RESPONSES = {
    "status": "completed",
    "output": [],
    "error": None,
    "usage": {
        "input_tokens": 10,
        "output_tokens": 3,
        "input_tokens_details": {"cached_tokens": 8},
        "output_tokens_details": {"reasoning_tokens": 2},
    },
}


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        (CHAT, AnswerFacts(10, 8, 3, 2, "length")),
        (RESPONSES, AnswerFacts(10, 8, 3, 2, "completed")),
        ({"data": [], "usage": {"prompt_tokens": 5, "total_tokens": 5}}, AnswerFacts(input_tokens=5)),
        ({"choices": [], "usage": {"prompt_tokens_details": None}}, AnswerFacts()),
        ({"choices": None, "usage": None}, AnswerFacts()),
        ({}, AnswerFacts()),
    ],
    ids=["chat", "responses", "embeddings", "no choices", "nulls", "nothing"],
)
def test_tokens_and_the_reason_to_stop_are_read_from_every_kind_of_body(
    body: Any, facts: AnswerFacts
) -> None:
    assert read_facts(body) == facts


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"message": "too long", "code": "context_length_exceeded", "type": "x"}, "context_length_exceeded"),
        ({"message": "too long", "code": 400, "type": "BadRequestError"}, "BadRequestError"),
        ({"message": "too long", "code": 400, "type": ""}, "400"),
        ({"message": "too long"}, "unknown_error"),
    ],
)
def test_an_error_is_known_by_a_word_where_there_is_one(error: dict[str, Any], code: str) -> None:
    assert read_facts({"error": error}) == AnswerFacts(error_code=code, error_message="too long")


def test_an_answer_line_has_openais_shape() -> None:
    text = answer_line(
        batch_id="batch_ab", line=3, custom_id="c", request_id="batch_ab-3", status=400, body={"error": {}}
    )
    assert text.endswith(b"}\n")
    assert orjson.loads(text) == {
        "id": "batch_req_ab_3",
        "custom_id": "c",
        "response": {"status_code": 400, "request_id": "batch_ab-3", "body": {"error": {}}},
        "error": None,
    }


def test_a_line_without_an_answer_has_an_error_instead_of_a_response() -> None:
    text = unanswered_line(batch_id="batch_ab", line=3, custom_id="c", code="batch_expired", message="late")
    assert orjson.loads(text) == {
        "id": "batch_req_ab_3",
        "custom_id": "c",
        "response": None,
        "error": {"code": "batch_expired", "message": "late"},
    }


def test_an_answer_is_one_line_whatever_is_in_it() -> None:
    nasty = "a\nb\r\n\u2028c\x00"
    text = answer_line(
        batch_id="batch_a", line=1, custom_id=nasty, request_id="r", status=200, body={"x": nasty}
    )
    assert text.count(b"\n") == 1
    assert orjson.loads(text)["response"]["body"] == {"x": nasty}
