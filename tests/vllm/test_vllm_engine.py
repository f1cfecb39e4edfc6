"""What the engine promises (batch_app/inference/engine.py), kept by the real vLLM."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from batch_app.inference.engine import EngineDeadError, ModelLoadError
from batch_app.inference.engine_processes import owned
from batch_app.inference.vllm_engine import VllmEngine
from tests.vllm.conftest import OWNER, Driver, spec

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(420),  # a load takes 25 s on a quiet machine, several times that on a busy one
    pytest.mark.filterwarnings("ignore"),  # vLLM and what it imports warn of much
]

COUNTRY = {
    "type": "json_schema",
    "json_schema": {
        "name": "country",
        "schema": {
            "type": "object",
            "properties": {"capital": {"type": "string", "maxLength": 20}, "rivers": {"type": "integer"}},
            "required": ["capital", "rivers"],
            "additionalProperties": False,
        },
    },
}


def _load_error(runner: asyncio.Runner, engine: VllmEngine) -> str:
    with pytest.raises(ModelLoadError) as caught:
        runner.run(engine.start())
    runner.run(engine.close())
    message = str(caught.value)
    assert "\n" not in message
    return message


async def _until(condition: Callable[[], object]) -> None:
    """As `wait_until`, which would keep the loop from turning."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 (an engine has no event for it)
            await asyncio.sleep(0.02)


def test_a_folder_that_is_not_there_is_named_at_once(runner: asyncio.Runner, tmp_path: Path) -> None:
    started = time.monotonic()
    message = _load_error(runner, VllmEngine(spec(tmp_path / "gone"), owner=OWNER))
    assert str(tmp_path / "gone") in message
    assert "does not exist" in message
    assert time.monotonic() - started < 2


def test_the_loop_keeps_turning_while_a_model_loads(driver: Driver) -> None:
    assert driver.turns_while_loading > 50


def test_the_engines_processes_are_marked_and_out_of_reach_of_ctrl_c(driver: Driver) -> None:
    processes = owned(OWNER)
    assert "VLLM::EngineCore" in {process.name() for process in processes}
    assert os.getsid(0) not in {os.getsid(process.pid) for process in processes}


def test_a_chat_is_answered_with_its_token_counts(driver: Driver) -> None:
    answer = driver.runner.run(driver.chat("What is the capital of France?", max_tokens=20))
    assert answer.status_code == 200
    body = orjson.loads(answer.body)
    assert "Paris" in body["choices"][0]["message"]["content"]
    assert body["id"].startswith("chatcmpl-request-")
    assert body["model"] == "small"
    usage = body["usage"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == 0


def test_a_json_schema_is_followed(driver: Driver) -> None:
    question = "Name the capital of Italy and how many rivers it has, in JSON."
    answer = driver.runner.run(driver.chat(question, response_format=COUNTRY, max_tokens=100))
    country = orjson.loads(orjson.loads(answer.body)["choices"][0]["message"]["content"])
    assert set(country) == {"capital", "rivers"}


def test_completions_and_responses_are_answered_too(driver: Driver) -> None:
    status, body = driver.ask(
        "/v1/completions", prompt="The capital of France is", max_tokens=5, temperature=0
    )
    assert (status, "Paris" in body["choices"][0]["text"]) == (200, True)
    status, body = driver.ask("/v1/responses", input="Hello", max_output_tokens=5)
    assert (status, body["output"][0]["content"][0]["type"]) == (200, "output_text")


@pytest.mark.parametrize(
    ("status", "url", "body", "words"),
    [
        (400, "/v1/completions", {"prompt": "word " * 2000}, "maximum context length is 1024 tokens"),
        (400, "/v1/chat/completions", {"messages": 5}, "not iterable"),
        (400, "/v1/completions", {"prompt": "a", "stream": True, "max_tokens": 1}, "cannot stream"),
        (404, "/v1/embeddings", {"input": "a"}, "does not serve /v1/embeddings"),
        (404, "/score", {"text_1": "a", "text_2": "b"}, "does not serve /score"),
        (404, "/v1/rerank", {"query": "a", "documents": ["b"]}, "does not serve /v1/rerank"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_openais_shape(
    driver: Driver, status: int, url: str, body: dict[str, Any], words: str
) -> None:
    refused, answer = driver.ask(url, **body)
    assert refused == status
    assert set(answer) == {"error"}
    assert words in answer["error"]["message"]
    assert {"type", "param", "code"} <= set(answer["error"])


def test_a_window_full_of_requests_is_answered_and_counted(driver: Driver) -> None:
    async def ask_all() -> list[dict[str, Any]]:
        asked = [
            driver.chat(f"Tell me about the number {i}.", max_tokens=8, ignore_eos=True) for i in range(64)
        ]
        return [orjson.loads(answer.body) for answer in await asyncio.gather(*asked)]

    before = driver.engine.counters()
    answers = driver.runner.run(ask_all())
    after = driver.engine.counters()
    assert driver.engine.max_in_flight == 128
    assert after.generation_tokens - before.generation_tokens == 64 * 8
    prompts = sum(answer["usage"]["prompt_tokens"] for answer in answers)
    assert after.prompt_tokens - before.prompt_tokens == prompts


def test_a_cancelled_request_leaves_the_engine(driver: Driver) -> None:
    async def cancel() -> None:
        stories = driver.tell_stories(4)
        await _until(lambda: driver.engine.counters().requests_running == 4)
        for story in stories:
            story.cancel()
        outcomes = await asyncio.gather(*stories, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        await _until(lambda: driver.engine.counters().requests_running == 0)

    driver.runner.run(cancel())


def test_a_wrong_engine_argument_is_named(driver: Driver) -> None:
    message = _load_error(driver.runner, VllmEngine(spec(max_modl_len=1), owner="other"))
    assert "max_modl_len" in message
    message = _load_error(driver.runner, VllmEngine(spec(max_num_seqs="many"), owner="other"))
    assert "max-num-seqs" in message


def test_why_a_model_does_not_load_is_learned_from_the_process_that_failed(driver: Driver) -> None:
    engine = VllmEngine(spec(kv_cache_memory_bytes=1_000_000), owner="other")
    message = _load_error(driver.runner, engine)
    assert "No available memory for the cache blocks" in message
    assert "Engine core initialization failed" not in message
    assert owned("other") == []


def test_a_load_that_was_given_up_leaves_nothing(driver: Driver) -> None:
    async def give_up() -> None:
        engine = VllmEngine(spec(), owner="other")
        loading = asyncio.create_task(engine.start())
        await _until(lambda: owned("other"))
        loading.cancel()
        await asyncio.wait({loading})
        async with asyncio.timeout(10):
            await engine.close()

    driver.runner.run(give_up())
    assert owned("other") == []


# The last test: it kills the engine that the others share.
def test_a_killed_engine_is_reported_and_replaced_and_a_hung_one_closed(driver: Driver) -> None:
    async def die_in(engine: VllmEngine, number: signal.Signals) -> set[type]:
        """Strike the engine while it answers, close it, and return how the requests ended."""
        driver.engine = engine
        stories = driver.tell_stories(4)
        await _until(lambda: engine.counters().requests_running == 4)
        for process in owned(OWNER):
            if process.name() == "VLLM::EngineCore":
                process.send_signal(number)
        if number == signal.SIGKILL:
            await asyncio.wait(stories)
        async with asyncio.timeout(10):
            await engine.close()
            await engine.close()
        return {type(outcome) for outcome in await asyncio.gather(*stories, return_exceptions=True)}

    assert driver.runner.run(die_in(driver.engine, signal.SIGKILL)) == {EngineDeadError}
    assert owned(OWNER) == []

    replacement = VllmEngine(spec(), owner=OWNER)
    driver.runner.run(replacement.start())
    assert replacement.counters().generation_tokens == 0
    assert driver.runner.run(die_in(replacement, signal.SIGSTOP)) == {EngineDeadError}
    assert owned(OWNER) == []
    with pytest.raises(EngineDeadError):
        driver.ask("/v1/completions", prompt="anyone?")
