"""The engine's life: loading a model, swapping it, noticing its death or stall, starting it again.

Loading happens in a task of its own, so that the worker goes on cancelling and ending batches meanwhile.
"""

import asyncio
import logging
from collections.abc import Callable
from enum import Enum

from batch_app.disk.storage_errors import describe_error
from batch_app.inference.engine import Engine, EngineCounters, ModelLoadError
from batch_app.models import ModelSpec
from batch_app.processing.stall_detector import StallDetector

log = logging.getLogger(__name__)

_MAX_RESTART_DELAY_SECONDS = 60.0
# A model that has answered can be served here: whatever keeps it from loading again (a driver that resets, somebody
# else's program on the card) may pass, and its batches can wait.
_LOAD_PATIENCE_SECONDS = 1800.0
# Without one answer between them: it is the model, not the requests.
_MOST_UNEXPLAINED_DEATHS = 8
# Requests that kill the engine often come together, and a model that answers others is not to blame for them. Above
# this even of such a one: something broke that each new engine finds broken.
_MOST_DEATHS_IN_A_ROW = 64


class EngineState(Enum):
    EMPTY = "empty"
    LOADING = "loading"
    READY = "ready"
    DEAD = "dead"


class EngineSupervisor:
    """At most one engine. `now` is the monotonic clock. `refused` is set when a model cannot be served, until somebody
    has dealt with it."""

    def __init__(self, make_engine: Callable[[ModelSpec], Engine], *, stall_seconds: float) -> None:
        self._make_engine = make_engine
        self._pulse = StallDetector(stall_seconds=stall_seconds)
        self._engine: Engine | None = None
        self._loading: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None  # kept, or it might be collected
        self._one_closes = asyncio.Lock()
        self._was_loaded = self._has_answered = False
        self._deaths_in_a_row = self._unexplained_deaths = 0
        self._failed_loads = 0
        self._give_up_at = 0.0
        self._next_start_at = 0.0
        self.state = EngineState.EMPTY
        self.spec: ModelSpec | None = None
        self.ready_since = 0.0  # this engine
        self.turn_began_at = 0.0  # the model, whatever became of its engines since
        self._is_new_turn = True
        self.refused: tuple[str, str] | None = None
        self.restarts = 0
        self.tokens_total = 0  # of all engines, as of the last turn
        self._tokens_of_engine = 0
        self._trouble: str | None = None

    @property
    def trouble(self) -> str | None:
        """What is wrong with the engine and what was done about it, until the next answer."""
        if self._trouble is None:
            return None
        restarted = f" It was restarted {_times(self.restarts)}." if self.restarts else ""
        now = " It is being started." if self.state is EngineState.LOADING else ""
        return self._trouble + restarted + now

    @property
    def model(self) -> str | None:
        """The model that is loaded, being loaded, or about to be loaded again."""
        return self.spec.name if self.spec else None

    @property
    def engine(self) -> Engine | None:
        """The engine, when requests can be sent to it."""
        return self._engine if self.state is EngineState.READY else None

    @property
    def next_start_at(self) -> float | None:
        """When a dead engine is started again."""
        return self._next_start_at if self.state is EngineState.DEAD else None

    def counters(self) -> EngineCounters:
        return self.engine.counters() if self.engine else EngineCounters()

    def begin_load(self, spec: ModelSpec, *, was_loaded: bool = False, has_answered: bool = False) -> None:
        """Start to swap to a model; nothing may be in flight. What it did before, here or under another worker:
        one that `was_loaded` or `has_answered` is tried again when it does not load."""
        self.spec, self._failed_loads = spec, 0
        self._deaths_in_a_row = self._unexplained_deaths = 0
        self._was_loaded, self._has_answered = was_loaded, has_answered
        self._is_new_turn, self._trouble = True, None
        self._start_loading()

    def recycle(self) -> None:
        """Replace a healthy engine by a new one of the same model; nothing may be in flight."""
        self.restarts += 1
        self._start_loading()

    def _start_loading(self) -> None:
        log.info("model_load_began", extra={"model": self.model})
        self.state = EngineState.LOADING
        self._loading = asyncio.create_task(self._load())

    async def _load(self) -> None:
        assert self.spec is not None
        await self._close_engine()
        self._engine = engine = self._make_engine(self.spec)
        try:
            await engine.start()
        except (ModelLoadError, OSError):  # what it holds of the device is wanted by others
            await self._close_engine()
            raise

    async def _close_engine(self) -> None:
        async with self._one_closes:
            if self._engine is not None:
                await self._engine.close()
            self._engine = None

    def turn(self, now: float) -> None:
        """Take note of a load that ended; restart a dead engine when its time has come."""
        self._count_tokens()
        if self.state is EngineState.LOADING and self._loading is not None and self._loading.done():
            self._finish_loading(now)
        if self.state is EngineState.DEAD and now >= self._next_start_at:
            self.restarts += 1
            self._start_loading()

    def _count_tokens(self) -> None:
        """Each engine counts from 0; between two there is a turn without one."""
        before, self._tokens_of_engine = self._tokens_of_engine, self.counters().generation_tokens
        self.tokens_total += max(self._tokens_of_engine - before, 0)

    def _finish_loading(self, now: float) -> None:
        assert self._loading is not None
        try:
            self._loading.result()
        except ModelLoadError as error:
            self._note_failed_load(str(error), now, is_refusal=not (self._was_loaded or self._has_answered))
        except (
            OSError
        ) as error:  # no process, no thread, no room in the temporary folder: nothing about the model
            self._note_failed_load(describe_error(error), now, is_refusal=False)
        else:
            log.info("model_loaded", extra={"model": self.model})
            self.state, self.ready_since, self._failed_loads = EngineState.READY, now, 0
            if self._is_new_turn:
                self.turn_began_at, self._is_new_turn = now, False
            self._pulse.reset(now)
        self._loading = None

    def _note_failed_load(self, reason: str, now: float, *, is_refusal: bool) -> None:
        log.error("model_load_failed", extra={"model": self.model, "reason": reason})
        if self._failed_loads == 0:
            self._give_up_at = now + _LOAD_PATIENCE_SECONDS
        self._failed_loads += 1
        if is_refusal or now >= self._give_up_at:
            self._refuse(reason)
            return
        tries = _times(self._failed_loads)
        self._trouble = f"The engine cannot be started again, tried {tries}: {reason.rstrip('.')}."
        self._wait_before_restart(now)

    def _refuse(self, reason: str) -> None:
        assert self.spec is not None
        self.refused = (self.spec.name, reason)
        self.state, self.spec, self._trouble = EngineState.EMPTY, None, None

    def note_answer(self) -> None:
        self._has_answered = True
        self._deaths_in_a_row = self._unexplained_deaths = 0
        if self.state is EngineState.READY:
            self._trouble = None

    def stalled(self, now: float, *, in_flight: int) -> str | None:
        """Why the engine is taken to be hung; None while it is not."""
        if self.engine is None:
            return None
        return self._pulse.stalled(now, self.engine.counters(), in_flight=in_flight)

    def note_death(self, now: float, reason: str, *, convicts: bool = False) -> None:
        """The engine is gone; it is started again after a while, longer after each death without an answer. One that
        dies again and again and answers nothing is refused. `convicts`: a request was alone with it, which explains
        the death if the model has answered others."""
        if self.state is not EngineState.READY:
            return
        self._deaths_in_a_row += 1
        if not (convicts and self._has_answered):
            self._unexplained_deaths += 1
        deaths = self._deaths_in_a_row
        log.error("engine_died", extra={"model": self.model, "reason": reason, "deaths_in_a_row": deaths})
        again = f" {_times(deaths)} without an answer" if deaths > 1 else ""
        self._trouble = f"The engine of {self.model} died{again}: {reason}."
        if self._unexplained_deaths >= _MOST_UNEXPLAINED_DEATHS or deaths >= _MOST_DEATHS_IN_A_ROW:
            self._refuse(f"the engine died {_times(deaths)} in a row without an answer: {reason}")
            self._closing = asyncio.create_task(self._close_engine())  # one that hangs holds its device
        else:
            self._wait_before_restart(now)

    def _wait_before_restart(self, now: float) -> None:
        attempts = self._deaths_in_a_row + self._failed_loads
        delay = min(2.0 ** min(attempts - 1, 10) - 1, _MAX_RESTART_DELAY_SECONDS)
        self.state, self._next_start_at = EngineState.DEAD, now + delay

    async def close(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])
            self._loading = None
        await self._close_engine()
        self.state, self.spec = EngineState.EMPTY, None


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
