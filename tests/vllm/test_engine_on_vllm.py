"""What the engine promises (batch_app/inference/engine.py), kept by the real vLLM."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from batch_app.inference.engine import EngineCounters, ModelLoadError
from batch_app.inference.engine_processes import owned
from batch_app.inference.vllm_engine import VllmEngine
from batch_app.processing.stall_detector import StallDetector
from tests.loopback import serving
from tests.security.hostile_constraints import FIFTY
from tests.vllm.conftest import CLOSED_WITHIN, OWNER, Driver, spec, until

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(900),  # a load takes 25 s on a quiet machine, several times that on a busy one
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


def test_a_folder_that_is_not_there_is_named_at_once(runner: asyncio.Runner, tmp_path: Path) -> None:
    started = time.process_time()
    message = _load_error(runner, VllmEngine(spec(tmp_path / "gone"), owner=OWNER))
    assert str(tmp_path / "gone") in message
    assert "does not exist" in message
    assert time.process_time() - started < 2


def test_the_loop_keeps_turning_while_a_model_loads(driver: Driver) -> None:
    assert driver.turns_while_loading > 2 * driver.load_seconds  # of ten a second, on a quiet machine


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
        (400, "/v1/completions", {"prompt": "word " * 9000}, "maximum context length is 8192 tokens"),
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


def test_what_the_cache_of_beginnings_saved_is_counted_as_the_answers_tell_it(driver: Driver) -> None:
    before = driver.engine.counters()
    answers = [driver.ask("/v1/completions", prompt="river " * 1000, max_tokens=1)[1] for _ in range(2)]
    after = driver.engine.counters()
    usages = [answer["usage"] for answer in answers]
    cached = [usage["prompt_tokens_details"]["cached_tokens"] for usage in usages]
    assert cached[0] == 0
    assert cached[1] > usages[1]["prompt_tokens"] / 2
    assert after.prefix_cache_hits - before.prefix_cache_hits == sum(cached)
    asked = sum(usage["prompt_tokens"] for usage in usages)
    assert after.prefix_cache_queries - before.prefix_cache_queries == asked


def test_a_cancelled_request_leaves_the_engine(driver: Driver) -> None:
    async def cancel() -> None:
        stories = driver.tell_stories(4)
        await until(lambda: driver.engine.counters().requests_running == 4)
        for story in stories:
            story.cancel()
        outcomes = await asyncio.gather(*stories, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        await until(lambda: driver.engine.counters().requests_running == 0)

    driver.runner.run(cancel())


def test_a_prompt_as_long_as_the_model_bears_raises_no_alarm(driver: Driver) -> None:
    """No token is counted before its end, but every step of it fills the cache, and costs processor time. Either will
    do, however long it takes here: half of that is the patience. Without either it would be taken to be hung."""

    async def listen() -> list[tuple[float, EngineCounters]]:
        readings = []
        asked = asyncio.create_task(driver.send("/v1/completions", prompt="word " * 8100, max_tokens=1))
        while not asked.done():
            readings.append((time.monotonic(), driver.engine.counters()))
            await asyncio.sleep(0.01)
        assert asked.result().status_code == 200
        return readings

    readings = driver.runner.run(listen())

    def alarms(**hidden: float) -> list[str]:
        pulse = StallDetector(stall_seconds=(readings[-1][0] - readings[0][0]) / 2)
        looks = [pulse.stalled(at, replace(seen, **hidden), in_flight=1) for at, seen in readings]  # type: ignore[arg-type]
        return [why for why in looks if why]

    assert alarms() == alarms(busy_seconds=0.0) == alarms(kv_cache_usage=0.0) == []
    assert alarms(busy_seconds=0.0, kv_cache_usage=0.0)


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
        await until(lambda: owned("other"))
        loading.cancel()
        await asyncio.wait({loading})
        async with asyncio.timeout(CLOSED_WITHIN):
            await engine.close()

    driver.runner.run(give_up())
    assert owned("other") == []


def _cpu_seconds() -> float:
    """Of this process and the engine's."""
    times = [process.cpu_times() for process in [psutil.Process(), *owned(OWNER)]]
    return sum(spent.user + spent.system for spent in times)


def test_fifty_hostile_regexes_and_schemas_cost_under_a_minute_and_the_rest_is_answered(
    driver: Driver,
) -> None:
    """More than fifty harmless requests of that length do. Compiled as a whole, as by vLLM's other backends, some of
    them take minutes each."""

    async def ask(bodies: list[dict[str, Any]]) -> list[int]:
        asked = [asyncio.create_task(driver.chat("Hello", max_tokens=32, **body)) for body in bodies]
        others = [asyncio.create_task(driver.chat(f"Say {i}.", max_tokens=8)) for i in range(14)]
        assert {(await answer).status_code for answer in others} == {200}
        return [(await answer).status_code for answer in asked]

    def cost(bodies: list[dict[str, Any]]) -> tuple[list[int], float]:
        before = _cpu_seconds()
        return driver.runner.run(ask(bodies)), _cpu_seconds() - before

    statuses, harmless = cost([{}] * len(FIFTY))
    assert set(statuses) == {200}
    statuses, hostile = cost(FIFTY)
    assert hostile - harmless < 60
    assert set(statuses) <= {200, 400, 500}
    assert driver.runner.run(driver.chat("Still there?", max_tokens=2)).status_code == 200


@contextmanager
def _web_server() -> Iterator[tuple[str, list[str]]]:
    """Its address, and the paths it is asked for; /redirect leads to /private."""
    asked: list[str] = []

    class Web(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(302 if self.path == "/redirect" else 200)
            self.send_header("location", "/private")
            self.send_header("content-length", "0")
            self.end_headers()

    with serving(Web) as address:
        yield address, asked


def test_vllm_itself_fetches_no_media_and_follows_no_redirect(driver: Driver) -> None:
    """Behind the check of the bodies: what vLLM reads media with, as our arguments make it."""
    from vllm import envs  # noqa: PLC0415  # takes seconds, and is imported only when a model is loaded
    from vllm.multimodal.media import MEDIA_CONNECTOR_REGISTRY  # noqa: PLC0415

    assert driver.engine._loaded is not None
    config = driver.engine._loaded.client.model_config
    connectors = {
        allowed: MEDIA_CONNECTOR_REGISTRY.load(
            envs.VLLM_MEDIA_CONNECTOR,
            allowed_local_media_path=config.allowed_local_media_path,
            allowed_media_domains=domains,
        )
        for allowed, domains in (("ours", config.allowed_media_domains), ("every", None))
    }
    with _web_server() as (address, asked):
        for url in (
            f"{address}/cat.png",
            f"{address}/redirect",
            "http://169.254.169.254/",
            "file:///etc/passwd",
        ):
            with pytest.raises((ValueError, RuntimeError)):
                connectors["ours"].fetch_image(url)
            part = {"type": "image_url", "image_url": {"url": url}}
            assert (
                driver.ask("/v1/chat/completions", messages=[{"role": "user", "content": [part]}])[0] == 400
            )
        assert asked == []
        with suppress(ValueError, OSError):  # whatever it makes of a redirect that it does not follow
            connectors["every"].fetch_image(f"{address}/redirect")
        assert asked == ["/redirect"]


def test_a_clients_template_and_too_many_answers_are_refused_by_vllm_too(driver: Driver) -> None:
    hello = [{"role": "user", "content": "Hello"}]
    for body in (
        {"chat_template": "{{ 7 * 7 }}"},
        {"n": 129},
        {"mm_processor_kwargs": {"a": 1}},
        {"background": True},
    ):
        url, field = (
            ("/v1/responses", "input") if "background" in body else ("/v1/chat/completions", "messages")
        )
        status, _ = driver.ask(url, max_tokens=1, **{field: hello}, **body)
        assert status == 400, body
