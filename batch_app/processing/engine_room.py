"""The engine's life: loading a model, swapping it, noticing its death or stall, starting it again.

Loading happens in a task of its own, so that the worker goes on cancelling and ending batches meanwhile.
"""

import asyncio
import logging
from collections.abc import Callable
from enum import Enum

from batch_app.inference.engine import Engine, EngineCounters, ModelLoadError
from batch_app.models import ModelSpec

log = logging.getLogger(__name__)

_MAX_RESTART_DELAY_SECONDS = 60.0
_LOADS_AFTER_A_DEATH = 3  # a device needs a moment to be free again after a crash


class RoomState(Enum):
    EMPTY = "empty"
    LOADING = "loading"
    READY = "ready"
    DEAD = "dead"


class EngineRoom:
    """At most one engine. `refused` is set when a model cannot be loaded, until somebody has dealt with it."""

    def __init__(self, make_engine: Callable[[ModelSpec], Engine], *, stall_seconds: float) -> None:
        self._make_engine = make_engine
        self._stall_seconds = stall_seconds
        self._engine: Engine | None = None
        self._loading: asyncio.Task[None] | None = None
        self._has_answered = False
        self._deaths_in_a_row = 0
        self._failed_loads = 0
        self._next_start_at = 0.0
        self._last_progress: tuple[object, float] = (None, 0.0)
        self.state = RoomState.EMPTY
        self.spec: ModelSpec | None = None
        self.ready_since = 0.0
        self.refused: tuple[str, str] | None = None
        self.restarts = 0

    @property
    def model(self) -> str | None:
        """The model that is loaded, being loaded, or about to be loaded again."""
        return self.spec.name if self.spec else None

    @property
    def engine(self) -> Engine | None:
        """The engine, when requests can be sent to it."""
        return self._engine if self.state is RoomState.READY else None

    def counters(self) -> EngineCounters:
        return self.engine.counters() if self.engine else EngineCounters()

    def begin_load(self, spec: ModelSpec) -> None:
        """Start to swap to a model; nothing may be in flight."""
        self.spec, self._deaths_in_a_row, self._failed_loads = spec, 0, 0
        self._has_answered = False
        self._start_loading()

    def _start_loading(self) -> None:
        log.info("model_load_began", extra={"model": self.model})
        self.state = RoomState.LOADING
        self._loading = asyncio.create_task(self._load())

    async def _load(self) -> None:
        assert self.spec is not None
        if self._engine is not None:
            await self._engine.close()
        self._engine = engine = self._make_engine(self.spec)
        await engine.start()

    def turn(self, now: float) -> None:
        """Take note of a load that ended; restart a dead engine when its time has come."""
        if self.state is RoomState.LOADING and self._loading is not None and self._loading.done():
            self._finish_loading(now)
        if self.state is RoomState.DEAD and now >= self._next_start_at:
            self.restarts += 1
            self._start_loading()

    def _finish_loading(self, now: float) -> None:
        assert self._loading is not None
        try:
            self._loading.result()
        except ModelLoadError as error:
            self._note_failed_load(str(error), now)
        else:
            log.info("model_loaded", extra={"model": self.model})
            self.state, self.ready_since, self._failed_loads = RoomState.READY, now, 0
            self._last_progress = (None, now)
        self._loading = None

    def _note_failed_load(self, reason: str, now: float) -> None:
        self._failed_loads += 1
        log.error("model_load_failed", extra={"model": self.model, "reason": reason})
        if self._has_answered and self._failed_loads < _LOADS_AFTER_A_DEATH:
            self._wait_before_restart(now)
            return
        assert self.spec is not None
        self.refused = (self.spec.name, reason)
        self.state, self.spec = RoomState.EMPTY, None

    def note_answer(self) -> None:
        self._has_answered = True
        self._deaths_in_a_row = 0

    def note_death(self, now: float) -> None:
        """The engine is gone; it is started again after a while, longer after each death without an answer."""
        if self.state is not RoomState.READY:
            return
        self._deaths_in_a_row += 1
        log.error("engine_died", extra={"model": self.model, "deaths_in_a_row": self._deaths_in_a_row})
        self._wait_before_restart(now)

    def _wait_before_restart(self, now: float) -> None:
        attempts = self._deaths_in_a_row + self._failed_loads
        delay = min(2.0 ** min(attempts - 1, 10) - 1, _MAX_RESTART_DELAY_SECONDS)
        self.state, self._next_start_at = RoomState.DEAD, now + delay

    def is_stalled(self, now: float, *, in_flight: int) -> bool:
        """Whether the engine has produced nothing for too long although it has work. A hung engine looks healthy:
        only its tokens tell."""
        counters = self.counters()
        progress = (counters.prompt_tokens, counters.generation_tokens, in_flight)
        if progress != self._last_progress[0] or in_flight == 0 or self.state is not RoomState.READY:
            self._last_progress = (progress, now)
        return now - self._last_progress[1] > self._stall_seconds

    async def close(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])
            self._loading = None
        if self._engine is not None:
            await self._engine.close()
        self.state, self.spec = RoomState.EMPTY, None
