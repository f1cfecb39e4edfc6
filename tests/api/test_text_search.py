"""Rows found by what their answers say."""

from typing import Any

import orjson
import pytest

from batch_app.api import answer_search
from batch_app.inference.echo_engine import EchoEngine
from batch_app.inference.engine import EngineAnswer, EngineRequest
from tests.api.errors import error_of
from tests.api.served import Api
from tests.lines import chat_line

TEXTS = ["Strong hire", 'weak "maybe"', "STRONG no", "größer", "back\\slash", "plain", "line\nbreak"]


@pytest.fixture
def lines() -> list[dict[str, Any]]:
    return [
        *(chat_line(f"row-{n}", text) for n, text in enumerate(TEXTS)),
        chat_line("refused", "[[fail 400]] strong words"),
    ]


def found(api: Api, batch_id: str, text: str, **params: Any) -> list[str]:
    """The custom_ids on all pages."""
    ids: list[str] = []
    after: int | None = 0
    while after is not None:
        answer = api.get(f"/v1/batches/{batch_id}/requests", params={"text": text, "after": after, **params})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["total"] is None
        assert page["has_more"] is (page["next_after"] is not None)
        ids += [row["custom_id"] for row in page["data"]]
        after = page["next_after"]
    return ids


CASES = [
    ("strong", ["row-0", "row-2"]),
    ("HIRE", ["row-0"]),
    ('"maybe"', ["row-1"]),
    ("GRÖSS", []),
    ("GRÖß", ["row-3"]),
    ("back\\slash", ["row-4"]),
    ("line\nbreak", ["row-6"]),
    ("choices", []),
    ("gpt-4", []),
    ("row-0", []),
    ("nowhere", []),
]


@pytest.mark.parametrize(("text", "ids"), CASES, ids=[text for text, _ids in CASES])
@pytest.mark.parametrize("limit", [1, 100])
def test_the_words_of_answers_are_searched_and_nothing_around_them(
    api: Api, lines: list[dict[str, Any]], text: str, ids: list[str], limit: int
) -> None:
    assert found(api, api.finished(lines), text, limit=limit) == ids


def test_what_an_error_says_is_found_too(api: Api, lines: list[dict[str, Any]]) -> None:
    batch_id = api.finished(lines)
    message = api.get(f"/v1/batches/{batch_id}/errors").json()["data"][0]["sample"]["message"]
    assert found(api, batch_id, message) == ["refused"]


CALLS = [{"id": "call_1", "type": "function", "function": {"name": "rate", "arguments": '{"score": 7}'}}]
# Answers whose words do not stand in their lines as they are.
MADE = {
    "a score": ("/score", {"data": [{"score": 0.87}]}, "score 0.8"),
    "an embedding": ("/v1/embeddings", {"data": [{"embedding": [0.5, 0.25]}]}, "EMBEDDING of 2 numbers"),
    "a tool call": (
        "/v1/chat/completions",
        {"choices": [{"message": {"content": None, "tool_calls": CALLS}}]},
        '"arguments":"{\\"score\\": 7}"',
    ),
    "two parts": (
        "/v1/responses",
        {"output": [{"content": [{"text": "in two "}, {"text": "parts"}]}]},
        "two parts",
    ),
}


@pytest.mark.parametrize(("url", "body", "text"), MADE.values(), ids=MADE)
def test_words_that_are_made_of_an_answer_are_found_as_they_are_shown(
    api: Api, url: str, body: dict[str, Any], text: str
) -> None:
    class Engine(EchoEngine):
        async def answer(self, _request: EngineRequest) -> EngineAnswer:
            return EngineAnswer(200, orjson.dumps(body))

    asked = {"input": "x", "text_1": "x", "text_2": "x", "messages": [{"role": "user", "content": "x"}]}
    batch_id = api.accepted([{**chat_line("made"), "url": url, "body": asked}])
    api.work(make_engine=lambda _spec: Engine())

    [row] = api.get(f"/v1/batches/{batch_id}/answers").json()["data"]
    assert text.lower() in row["text"].lower()
    assert found(api, batch_id, text) == ["made"]


def test_filters_hold_together(api: Api, lines: list[dict[str, Any]]) -> None:
    batch_id = api.finished(lines)
    assert found(api, batch_id, "strong", custom_id="row-2") == ["row-2"]
    assert found(api, batch_id, "strong", status="failed") == []


def test_a_running_batch_is_searched_over_all_its_claims(api: Api) -> None:
    lines = [chat_line(f"row-{n}", f"word {n % 2}") for n in range(9)]
    batch_id = api.accepted(lines, order="submission")
    for expected in (["row-1"], ["row-1", "row-3"], ["row-1", "row-3", "row-5"]):
        api.work(answers=2)
        assert found(api, batch_id, "word 1") == expected
    api.work()
    assert found(api, batch_id, "word 1") == ["row-1", "row-3", "row-5", "row-7"]


def test_a_search_that_takes_long_gives_what_it_has_and_where_to_go_on(
    api: Api, lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = api.finished(lines)
    monkeypatch.setattr(answer_search, "_SEARCH_SECONDS", 0)
    page = api.get(f"/v1/batches/{batch_id}/requests", params={"text": "plain"}).json()
    assert (page["data"], page["next_after"]) == ([], 1)
    assert found(api, batch_id, "strong") == ["row-0", "row-2"]


def test_answers_whose_file_was_deleted_are_not_found(api: Api, lines: list[dict[str, Any]]) -> None:
    batch_id = api.finished(lines)
    api.delete(f"/v1/files/{api.batch(batch_id)['output_file_id']}")
    assert found(api, batch_id, "strong") == []


def test_a_text_is_something(api: Api) -> None:
    path = f"/v1/batches/{api.accepted(1)}/requests"
    for text in ("", "x" * 501):
        assert error_of(api.get(path, params={"text": text}), 400)["param"] == "text"
