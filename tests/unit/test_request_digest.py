"""Which requests count as the same, and which of them must get the same answer."""

from typing import Any

import pytest

from batch_app.input.request_digest import request_digest

CHAT = "/v1/chat/completions"
ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "a"}], "temperature": 0}


def test_the_same_request_in_other_words_is_the_same() -> None:
    one = request_digest(CHAT, {**ASKED, "model": "gpt-4", "max_tokens": 5})
    assert one is not None
    assert request_digest(CHAT, {"max_tokens": 5, **ASKED, "stream": False}) == one


@pytest.mark.parametrize(
    "change",
    [
        {"messages": [{"role": "user", "content": "a "}]},
        {"messages": [{"content": "a", "role": "user"}]},  # the order inside is the client's to choose
        {"max_tokens": 6},
        {"seed": 1},
        {"logprobs": True},
        {"temperature": 0.0},
        {"stop": None},
    ],
)
def test_whatever_might_change_the_answer_makes_another_request(change: dict[str, Any]) -> None:
    assert request_digest(CHAT, {**ASKED, **change}) != request_digest(CHAT, ASKED)


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": None},
        {"temperature": 0.7},
        {"temperature": False},
        {"temperature": "0"},
        {"temperature": 1e-9},
        {"temperature": 0.7, "seed": 42},
        {"n": 2},
        {"best_of": 3},
    ],
)
def test_an_answer_left_to_chance_has_no_identity(change: dict[str, Any]) -> None:
    assert request_digest(CHAT, {**ASKED, **change}) is None


def test_without_a_temperature_the_model_s_own_default_decides() -> None:
    assert request_digest(CHAT, {"messages": ASKED["messages"]}) is None


def test_vectors_and_scores_leave_nothing_to_chance() -> None:
    assert request_digest("/v1/embeddings", {"input": "a"}) is not None
    assert request_digest("/v1/rerank", {"query": "a", "documents": ["b"]}) is not None


def test_responses_may_depend_on_what_the_server_remembers() -> None:
    assert request_digest("/v1/responses", {"input": "a", "temperature": 0}) is None


def test_the_endpoint_is_part_of_the_request() -> None:
    body = {"input": "a", "query": "a", "documents": ["b"]}
    assert request_digest("/v1/embeddings", body) != request_digest("/v1/rerank", body)
