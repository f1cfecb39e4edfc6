"""What the worker asks of an engine: load a model, answer one request, say how it is doing.

An engine knows nothing about batches, files or the database. It is driven from one asyncio loop.
"""

from dataclasses import dataclass
from typing import Protocol


class ModelLoadError(Exception):
    """The model cannot be served here; the message says why in one line. Its batches fail, the worker does not."""


class EngineDeadError(Exception):
    """The engine process is gone or unusable; every request in flight is lost, none of them is to blame yet."""


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One request, already validated: `url` is one of `jsonl.ENDPOINTS`, `body` is its JSON text."""

    request_id: str
    url: str
    body: bytes


@dataclass(frozen=True, slots=True)
class EngineAnswer:
    """`status_code` 200 or an HTTP error; `body` is one JSON object, an OpenAI `{"error": …}` when not 200.
    `from_cache`: it was computed for another request, and nothing was computed for this one."""

    status_code: int
    body: bytes
    from_cache: bool = False


@dataclass(frozen=True, slots=True)
class EngineCounters:
    """Readings of a running engine. Totals count from its start and never fall; shares are 0 to 1."""

    prompt_tokens: int = 0
    generation_tokens: int = 0
    requests_running: int = 0
    requests_waiting: int = 0
    preemptions: int = 0
    prefix_cache_queries: int = 0
    prefix_cache_hits: int = 0
    kv_cache_usage: float = 0.0
    busy_seconds: float = 0.0  # processor time of the engine's own processes


class Engine(Protocol):
    """One loaded model. After `EngineDeadError` only `close` may be called."""

    @property
    def max_in_flight(self) -> int:
        """How many requests are worth having in flight at once: enough that the engine never runs dry."""

    @property
    def identity(self) -> str | None:
        """Stands for all that decides an answer besides the request; None when that cannot be told."""

    async def start(self) -> None:
        """Load the model. Raises ModelLoadError."""

    async def answer(self, request: EngineRequest) -> EngineAnswer:
        """Answer one request; a refusal is an answer too. Cancelling the task aborts it inside the engine.

        Raises EngineDeadError.
        """

    def counters(self) -> EngineCounters: ...

    async def close(self) -> None:
        """Free the device and end every process of this engine. Safe to call twice, and on a dead engine."""
