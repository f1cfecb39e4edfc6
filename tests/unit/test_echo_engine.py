"""The engine without a model answers every supported endpoint with a well-formed body and usage."""

import asyncio
from typing import Any

import orjson
import pytest

from batch_app.inference.echo_engine import EchoEngine
from batch_app.inference.engine import EngineDeadError, EngineRequest
from batch_app.input.request_lines import ENDPOINTS, read_facts

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "one two three"}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": MESSAGES},
    "/v1/completions": {"prompt": "one two three"},
    "/v1/responses": {"input": "one two three"},
    "/v1/embeddings": {"input": ["one two", "three"]},
    "/score": {"text_1": "one", "text_2": "two"},
    "/v1/score": {"queries": ["one"], "documents": ["two"]},
    "/rerank": {"query": "one", "documents": ["two", "three"]},
    "/v1/rerank": {"query": "one", "documents": ["two", "three"]},
}
SAID = {
    "/v1/chat/completions": lambda body: body["choices"][0]["message"]["content"],
    "/v1/completions": lambda body: body["choices"][0]["text"],
    "/v1/responses": lambda body: body["output"][0]["content"][0]["text"],
}


def ask(url: str, body: dict[str, Any], engine: EchoEngine | None = None) -> tuple[int, dict[str, Any]]:
    request = EngineRequest("batch_1-1", url, orjson.dumps({"model": "tiny", **body}))

    async def scenario() -> tuple[int, dict[str, Any]]:
        answer = await (engine or EchoEngine()).answer(request)
        return answer.status_code, orjson.loads(answer.body)

    return asyncio.run(scenario())


@pytest.mark.parametrize("url", ENDPOINTS)
def test_every_endpoint_is_answered_with_a_body_and_usage(url: str) -> None:
    status, body = ask(url, BODIES[url])
    assert status == 200
    assert body["model"] == "tiny"
    assert body["object"]
    assert read_facts(body).input_tokens > 0
    if url in SAID:
        assert SAID[url](body) == "one two three"
        assert read_facts(body).output_tokens == 3


def test_an_embedding_for_each_input_and_a_score_for_each_document() -> None:
    assert [row["index"] for row in ask("/v1/embeddings", BODIES["/v1/embeddings"])[1]["data"]] == [0, 1]
    assert [row["index"] for row in ask("/rerank", BODIES["/rerank"])[1]["results"]] == [0, 1]


def test_what_is_to_go_wrong_goes_wrong() -> None:
    status, body = ask("/v1/completions", {"prompt": "[[fail 422]]"})
    assert status == 422
    assert read_facts(body).error_code == "BadRequestError"
    engine = EchoEngine()
    with pytest.raises(EngineDeadError):
        ask("/v1/completions", {"prompt": "[[kill]]"}, engine)
    with pytest.raises(EngineDeadError):
        ask("/v1/completions", {"prompt": "innocent"}, engine)
