"""Every endpoint over HTTP on the real engine, asked through the official `openai` package.

One API and one worker take all batches at once, for four models: two cannot be loaded, one embeds, one chats.
The last test kills the worker in the middle of a batch.
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest
from openai.types import Batch, Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from batch_app.settings import PROJECT_DIR
from tests.lines import chat_lines, jsonl
from tests.processes.system import MODEL, System
from tests.waiting import wait_until

pytestmark = [pytest.mark.vllm, pytest.mark.process, pytest.mark.timeout(900)]

EMBEDDER = "sentence-transformers/all-MiniLM-L6-v2"
NOWHERE = "nobody/no-such-model"
GONE = "gone"
CHAT, SCORE, RERANK = "/v1/chat/completions", "/score", "/v1/rerank"
TOO_LONG = "word " * 4000
CAT, KITTEN, STOCKS = "A cat sits on the mat.", "A kitten lies on the rug.", "Stock prices fell sharply."
CITY = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "enum": ["Paris", "London"]},
        "is_capital": {"type": "boolean"},
    },
    "required": ["city", "is_capital"],
    "additionalProperties": False,
}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY}}


def _line(custom_id: str, url: str, **body: Any) -> dict[str, Any]:
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": body}


def _chat(custom_id: str, text: str, **body: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return _line(custom_id, CHAT, messages=messages, **{"max_tokens": 8, "temperature": 0, **body})


# Each batch with its model. All lines of a batch go to one endpoint. In this order the models are loaded.
BATCHES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "nowhere": (NOWHERE, [_chat("a", "Hello")]),
    "gone": (GONE, [_line("a", "/v1/embeddings", input=CAT)]),
    "embeddings": (
        EMBEDDER,
        [
            _line("one", "/v1/embeddings", input=CAT),
            _line("two", "/v1/embeddings", input=[KITTEN, STOCKS]),
        ],
    ),
    "score": (EMBEDDER, [_line("a", SCORE, text_1=CAT, text_2=[KITTEN, STOCKS])]),
    "rerank": (EMBEDDER, [_line("a", RERANK, query=CAT, documents=[STOCKS, KITTEN])]),
    "chat": (
        MODEL,
        [
            _chat("plain", "What is the capital of France?", max_tokens=20),
            _chat("schema", "Name a city, in JSON.", max_tokens=60, response_format=SCHEMA),
        ],
    ),
    "completions": (MODEL, [_line("a", "/v1/completions", prompt="The capital of France is", max_tokens=8)]),
    "responses": (MODEL, [_line("a", "/v1/responses", input="Hello", max_output_tokens=8)]),
    "hundred": (
        MODEL,
        [_chat(f"line-{i}", TOO_LONG if i % 20 == 7 else f"Say the number {i}.") for i in range(100)],
    ),
}


@dataclass
class Served:
    """The system with every batch of `BATCHES` submitted. Answers are by `custom_id`."""

    system: System
    client: openai.OpenAI
    worker: subprocess.Popen[bytes]
    gone: Path
    ids: dict[str, str] = field(default_factory=dict)

    def submit(self, model: str, lines: list[dict[str, Any]]) -> str:
        content = jsonl([{**line, "body": {"model": model, **line["body"]}} for line in lines])
        file = self.client.files.create(file=("requests.jsonl", content), purpose="batch")
        endpoint: Any = lines[0]["url"]  # the package's type knows OpenAI's own endpoints alone
        return self.client.batches.create(
            input_file_id=file.id, endpoint=endpoint, completion_window="24h"
        ).id

    def ended(self, name: str) -> Batch:
        def look() -> Any:
            batch = self.client.batches.retrieve(self.ids[name])
            return batch if batch.status in {"completed", "failed", "expired", "cancelled"} else None

        batch: Batch = wait_until(look, what=f"the batch {name} to end", timeout=800, every=0.2)
        return batch

    def answers(self, name: str) -> dict[str, Any]:
        """The bodies of a completed batch whose usage is that of its lines."""
        batch = self.ended(name)
        assert batch.status == "completed"
        rows = self.rows(batch.output_file_id)
        assert all(row["response"]["status_code"] == 200 and row["error"] is None for row in rows)
        bodies = {row["custom_id"]: row["response"]["body"] for row in rows}
        usages = [body["usage"] for body in bodies.values()]
        inputs = sum(usage.get("prompt_tokens") or usage["input_tokens"] for usage in usages)
        outputs = sum(usage.get("completion_tokens") or usage.get("output_tokens", 0) for usage in usages)
        assert batch.usage is not None
        assert (batch.usage.input_tokens, batch.usage.output_tokens) == (inputs, outputs)
        assert batch.usage.total_tokens == sum(usage["total_tokens"] for usage in usages)
        assert all(usage["total_tokens"] > 0 for usage in usages)
        assert {body["model"] for body in bodies.values()} == {BATCHES[name][0]}
        return bodies

    def answer(self, name: str) -> Any:
        [body] = self.answers(name).values()
        return body

    def rows(self, file_id: str | None) -> list[Any]:
        assert file_id is not None
        return [orjson.loads(line) for line in self.client.files.content(file_id).text.splitlines()]


def _models_file(folder: Path) -> Path:
    """The project's own with its optional models switched on, and one whose folder lies beside this file."""
    text = re.sub(r"^#: ?", "", (PROJECT_DIR / "models.toml").read_text(), flags=re.MULTILINE)
    text = text.replace('path = "', f'path = "{PROJECT_DIR}/')
    path = folder / "models.toml"
    path.write_text(f'{text}\n[[models]]\nname = "{GONE}"\npath = "all-MiniLM-L6-v2"\n')
    return path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("endpoints")
    gone = folder / "all-MiniLM-L6-v2"
    gone.mkdir()  # the worker does not start without it
    settings = {
        "ENGINE": "vllm",
        "WINDOW": "32",
        "MAX_ACTIVE_BATCHES": "10",
        "MODELS_FILE": str(_models_file(folder)),
    }
    system = System(folder / "data", settings=settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB; a quarter of the memory takes longer to clear
        patch.setenv("HF_HUB_OFFLINE", "1")  # without a network it would be tried for 23 s
        try:
            system.start_api()
            worker = system.start_worker()
            system.wait_for_worker()
            gone.rmdir()
            with openai.OpenAI(
                base_url=f"{system.url}/v1", api_key="none", max_retries=0, _strict_response_validation=True
            ) as client:
                served = Served(system, client, worker, gone)
                served.ids = {name: served.submit(*batch) for name, batch in BATCHES.items()}
                yield served
        finally:
            system.stop_all()


def test_a_model_that_is_not_there_fails_its_batch_with_the_reason(served: Served) -> None:
    batch = served.ended("nowhere")
    assert batch.status == "failed"
    assert batch.errors is not None
    [error] = batch.errors.data or []
    assert error.code == "model_load_failed"
    assert NOWHERE in (error.message or "")


def test_a_model_of_ours_that_was_not_made_fails_its_batch_with_the_command_to_run(served: Served) -> None:
    batch = served.ended("gone")
    assert batch.status == "failed"
    assert batch.errors is not None
    [error] = batch.errors.data or []
    assert error.code == "model_load_failed"
    assert "does not exist" in (error.message or "")
    assert "`make embeddings`" in (error.message or "")


def test_embeddings_of_like_sentences_are_near_each_other(served: Served) -> None:
    answers = {
        custom_id: CreateEmbeddingResponse.model_validate(body)
        for custom_id, body in served.answers("embeddings").items()
    }
    assert {answer.object for answer in answers.values()} == {"list"}
    [cat] = [row.embedding for row in answers["one"].data]
    assert [row.index for row in answers["two"].data] == [0, 1]
    kitten, stocks = (row.embedding for row in answers["two"].data)
    assert {len(vector) for vector in (cat, kitten, stocks)} == {384}

    def nearness(one: list[float], other: list[float]) -> float:
        return sum(a * b for a, b in zip(one, other, strict=True))

    assert nearness(cat, cat) == pytest.approx(1, abs=0.01)
    assert nearness(cat, kitten) > 0.4 > 0.2 > nearness(cat, stocks)


def test_score_and_rerank_put_the_like_sentence_first(served: Served) -> None:
    score = served.answer("score")
    assert (score["object"], [row["index"] for row in score["data"]]) == ("list", [0, 1])
    near, far = (row["score"] for row in score["data"])
    assert near > 0.4 > 0.2 > far

    results = served.answer("rerank")["results"]
    assert [(row["index"], row["document"]["text"]) for row in results] == [(1, KITTEN), (0, STOCKS)]
    assert [row["relevance_score"] for row in results] == pytest.approx([near, far], abs=0.01)


def test_chat_answers_freely_or_by_a_json_schema(served: Served) -> None:
    answers = {
        custom_id: ChatCompletion.model_validate(body) for custom_id, body in served.answers("chat").items()
    }
    assert {answer.object for answer in answers.values()} == {"chat.completion"}
    texts = {name: answer.choices[0].message.content or "" for name, answer in answers.items()}
    assert "Paris" in texts["plain"]
    city = orjson.loads(texts["schema"])
    assert city.keys() == {"city", "is_capital"}
    assert city["city"] in {"Paris", "London"}
    assert isinstance(city["is_capital"], bool)


def test_completions_go_on_with_the_prompt(served: Served) -> None:
    answer = Completion.model_validate(served.answer("completions"))
    assert answer.object == "text_completion"
    assert answer.choices[0].text
    assert answer.usage is not None
    assert 0 < answer.usage.completion_tokens <= 8


def test_responses_have_an_output_text(served: Served) -> None:
    answer = Response.model_validate(served.answer("responses"))
    assert (answer.object, answer.error) == ("response", None)
    assert answer.status in {"completed", "incomplete"}  # incomplete: eight tokens are few
    assert answer.output_text
    assert answer.usage is not None
    assert 0 < answer.usage.output_tokens <= 8


def test_five_prompts_too_long_for_the_model_cost_the_other_95_nothing(served: Served) -> None:
    batch = served.ended("hundred")
    assert batch.request_counts is not None
    assert batch.request_counts.to_dict() == {"total": 100, "completed": 95, "failed": 5}
    too_long = {f"line-{i}" for i in range(7, 100, 20)}
    answers = served.answers("hundred")
    assert answers.keys() == {f"line-{i}" for i in range(100)} - too_long
    assert all(ChatCompletion.model_validate(body).choices[0].message.content for body in answers.values())

    refused = {row["custom_id"]: row for row in served.rows(batch.error_file_id)}
    assert refused.keys() == too_long
    for row in refused.values():
        assert row["error"] is None
        assert 400 <= row["response"]["status_code"] < 500
        assert row["response"]["body"].keys() == {"error"}
        assert "maximum context length" in row["response"]["body"]["error"]["message"]
    [group] = served.system.get(f"/v1/batches/{batch.id}/errors")["data"]
    assert group["sample"]["custom_id"] in too_long
    letters = served.system.get(f"/v1/batches/{batch.id}/dead_letters")["data"]
    assert [letter["attempts"] for letter in letters] == [1] * 5


def test_one_worker_loads_each_model_once_and_swaps_when_its_batches_have_ended(served: Served) -> None:
    for name in served.ids:
        served.ended(name)
    assert served.worker.poll() is None
    log = served.system.log.read_text()
    assert re.findall(r"model_load_began +model=(\S+)", log) == [NOWHERE, GONE, EMBEDDER, MODEL]
    assert re.findall(r"model_loaded +model=(\S+)", log) == [EMBEDDER, MODEL]


# The last test: it kills the worker that the others share.
def test_a_killed_worker_on_real_vllm_loses_nothing_and_leaves_no_engine_behind(served: Served) -> None:
    for name in served.ids:
        served.ended(name)
    system, lines = served.system, chat_lines(120, "Say something about the number {}.")
    sent = jsonl([{**line, "body": {**line["body"], "max_tokens": 32, "temperature": 0}} for line in lines])
    batch_id = system.submit(sent)
    wait_until(
        lambda: system.answered(batch_id) >= 30, what="a quarter of the answers", timeout=800, every=0.2
    )
    assert system.answered(batch_id) < 120
    assert system.engines()
    system.kill(served.worker)
    wait_until(lambda: not system.engines(), what="the engine's processes to end")

    served.gone.mkdir()
    system.start_worker()
    batch = system.wait_for_end(batch_id, timeout=800)
    assert batch["status"] == "completed"
    assert batch["request_counts"] == {"total": 120, "completed": 120, "failed": 0}
    assert batch["usage"]["output_tokens"] > 120
    answers = [orjson.loads(line) for line in system.results(batch_id).splitlines()]
    assert sorted(answer["custom_id"] for answer in answers) == sorted(f"candidate-{i}" for i in range(120))
    assert all(answer["response"]["body"]["choices"][0]["message"]["content"] for answer in answers)
