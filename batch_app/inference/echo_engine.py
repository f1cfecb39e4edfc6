"""An engine without a model, for tests, benchmarks and work on the pages.

Answers every supported endpoint with a well-formed body that repeats the request's last text. A token is a word.
What a test wants to go wrong is written into the text: `[[fail 400]]` is refused with that status, `[[flaky 2]]`
fails twice with a 500 and then answers, `[[kill]]` kills the engine.
"""

import asyncio
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import orjson

from batch_app.inference.engine import EngineAnswer, EngineCounters, EngineDeadError, EngineRequest

_COMMAND: Final = re.compile(r"\[\[(fail|flaky|kill)(?: (\d+))?\]\]")
_VECTOR: Final = [0.1, -0.2, 0.3, -0.4]


class EchoEngine:
    """See inference.engine.Engine."""

    def __init__(self, *, latency_seconds: float = 0.0, journal: Path | None = None) -> None:
        """`journal`: a file that gets the id of each request answered, a line each."""
        self._latency_seconds = latency_seconds
        self._journal = journal.open("a") if journal is not None else None
        self._tokens = Counter[str]()
        self._running = 0
        self._failures = Counter[str]()
        self._dead = asyncio.Event()

    @property
    def max_in_flight(self) -> int:
        return 1024

    @property
    def identity(self) -> str | None:
        return "echo"

    async def start(self) -> None:
        """There is nothing to load."""

    async def answer(self, request: EngineRequest) -> EngineAnswer:
        self._running += 1
        try:
            if self._latency_seconds:
                await self._work(self._latency_seconds)
            if self._dead.is_set():
                raise EngineDeadError("the echo engine was killed")
            self._note(request.request_id)
            return self._reply(request)
        finally:
            self._running -= 1

    def _note(self, request_id: str) -> None:
        if self._journal is not None:
            self._journal.write(f"{request_id}\n")
            self._journal.flush()

    async def _work(self, seconds: float) -> None:
        """Take that long, or until somebody kills the engine."""
        try:
            async with asyncio.timeout(seconds):
                await self._dead.wait()
        except TimeoutError:
            pass

    def _reply(self, request: EngineRequest) -> EngineAnswer:
        body = orjson.loads(request.body)
        text = _last_text(body)
        command = _COMMAND.search(text)
        if command and (refusal := self._obey(command[1], int(command[2] or 500), request.request_id)):
            return refusal
        usage = self._count(_all_text(body), text)
        return EngineAnswer(200, orjson.dumps(_BODIES[request.url](body, text, usage, request.request_id)))

    def _obey(self, command: str, number: int, request_id: str) -> EngineAnswer | None:
        if command == "kill":
            self._dead.set()
            raise EngineDeadError("the echo engine was told to die")
        if command == "flaky":
            self._failures[request_id] += 1
            if self._failures[request_id] > number:
                return None
            number = 500
        error = {
            "message": f"The text asked for a {number}.",
            "type": "BadRequestError" if number < 500 else "InternalServerError",
            "param": None,
            "code": number,
        }
        return EngineAnswer(number, orjson.dumps({"error": error}))

    def _count(self, prompt: str, text: str) -> dict[str, int]:
        usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(text.split())}
        self._tokens.update(usage)
        return {**usage, "total_tokens": sum(usage.values())}

    def counters(self) -> EngineCounters:
        return EngineCounters(
            prompt_tokens=self._tokens["prompt_tokens"],
            generation_tokens=self._tokens["completion_tokens"],
            requests_running=self._running,
        )

    async def close(self) -> None:
        self._dead.set()
        if self._journal is not None:
            self._journal.close()


def _last_text(body: dict[str, Any]) -> str:
    for name in ("messages", "prompt", "input", "query", "text_1", "queries"):
        if name in body:
            return _text(body[name][-1] if isinstance(body[name], list) and body[name] else body[name])
    return ""


def _all_text(body: dict[str, Any]) -> str:
    return " ".join(_text(value) for name, value in body.items() if name != "model")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return " ".join(_text(item) for item in value)
    if isinstance(value, dict):
        return " ".join(_text(value[name]) for name in ("content", "text") if name in value)
    return ""


def _chat(body: dict[str, Any], text: str, usage: dict[str, int], request_id: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return _object(body, f"chatcmpl-{request_id}", "chat.completion", choices=[choice], usage=usage)


def _completion(body: dict[str, Any], text: str, usage: dict[str, int], request_id: str) -> dict[str, Any]:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": "stop"}
    return _object(body, f"cmpl-{request_id}", "text_completion", choices=[choice], usage=usage)


def _response(body: dict[str, Any], text: str, usage: dict[str, int], request_id: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    message = {
        "id": f"msg_{request_id}",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }
    tokens = {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage["total_tokens"],
    }
    answer = _object(
        body, f"resp_{request_id}", "response", status="completed", output=[message], usage=tokens
    )
    answer["created_at"] = answer.pop("created")
    return {**answer, "error": None, "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}


def _embedding(body: dict[str, Any], _text: str, usage: dict[str, int], request_id: str) -> dict[str, Any]:
    inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
    data = [{"object": "embedding", "index": i, "embedding": _VECTOR} for i in range(len(inputs))]
    return _object(body, f"embd-{request_id}", "list", data=data, usage=usage)


def _score(body: dict[str, Any], _text: str, usage: dict[str, int], request_id: str) -> dict[str, Any]:
    data = [{"object": "score", "index": 0, "score": 0.5}]
    return _object(body, f"score-{request_id}", "list", data=data, usage=usage)


def _rerank(body: dict[str, Any], _text: str, usage: dict[str, int], request_id: str) -> dict[str, Any]:
    documents = body["documents"] if isinstance(body["documents"], list) else [body["documents"]]
    results = [
        {"index": i, "document": {"text": document}, "relevance_score": 0.5}
        for i, document in enumerate(documents)
    ]
    return _object(body, f"rerank-{request_id}", "rerank", results=results, usage=usage)


def _object(body: dict[str, Any], object_id: str, kind: str, **rest: Any) -> dict[str, Any]:
    return {"id": object_id, "object": kind, "created": int(time.time()), "model": body["model"], **rest}


_BODIES: Final = {
    "/v1/chat/completions": _chat,
    "/v1/completions": _completion,
    "/v1/responses": _response,
    "/v1/embeddings": _embedding,
    "/score": _score,
    "/v1/score": _score,
    "/rerank": _rerank,
    "/v1/rerank": _rerank,
}
