"""Keeps the engine's window full: a bounded number of requests in flight, shared fairly among the runs.

There is no barrier anywhere: a slot is filled again as soon as its answer is recorded, from whichever run is next.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from batch_app import ids
from batch_app.inference.asgi_exchange import error_body
from batch_app.inference.engine import Engine, EngineAnswer, EngineDeadError, EngineRequest
from batch_app.input.body_rules import constraint_key
from batch_app.input.request_lines import engine_body
from batch_app.processing.answer_cache import AnswerCache, Answering
from batch_app.processing.claimed_batch import ArrivedAnswer, ClaimedBatch
from batch_app.processing.claimed_batches import ClaimedBatches
from batch_app.processing.scheduling import SuspectSchedule, next_run, next_suspect
from batch_app.store.request_writes import FetchedRequest

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Alone:
    """A suspect in flight: nothing else may be, so that a death convicts it."""

    run: ClaimedBatch
    line: FetchedRequest


class Dispatcher:
    """Hands lines to the engine and takes the answers back. `on_arrival` and `on_death` are called from its tasks.
    `death` is why the engine died, until that was dealt with: nothing is fed to it meanwhile. `max_bytes` bounds the
    lines in flight, which may exceed it by one line."""

    def __init__(
        self,
        cache: AnswerCache,
        *,
        on_arrival: Callable[[], None],
        on_death: Callable[[], None],
        max_bytes: int,
    ) -> None:
        self._cache = cache
        self._on_arrival, self._on_death = on_arrival, on_death
        self._max_bytes, self._bytes = max_bytes, 0
        self._fed = 0
        self._suspects_turn = SuspectSchedule()
        self.alone: Alone | None = None
        self.death: str | None = None

    async def feed(
        self, runs: ClaimedBatches, engine: Engine, *, model: str, window: int, now: float, steady: float
    ) -> None:
        """Fill the free slots of the window with lines of the runs that are this model's. A suspect is fed alone: when
        nothing else is left, or in its turn."""
        for run in runs:
            if run.is_to_be_fed_to(model):
                await runs.refill(run, below=window, now=now, steady=steady)
        if self.death is not None:  # told of meanwhile; what is fed now would be blamed for it
            return
        fed = [run for run in runs if run.is_to_be_fed_to(model)]
        if self.alone is not None and self.alone.line.line not in self.alone.run.in_flight:
            self.alone = None
        suspected, ready = next_suspect(fed), next_run(fed)
        is_suspects_turn = self._suspects_turn.is_on(suspected, ready, held=runs.held, now=steady)
        if not is_suspects_turn:
            self._top_up(fed, engine, model=model, room=window - runs.held)
        if suspected is not None and not runs.held and (is_suspects_turn or next_run(fed) is None):
            self._send_suspect(suspected, engine, model)

    def _top_up(self, fed: Sequence[ClaimedBatch], engine: Engine, *, model: str, room: int) -> None:
        while self.alone is None and room > 0 and self._bytes < self._max_bytes and (run := next_run(fed)):
            self._send(run, run.ready.popleft(), engine, model)
            room -= 1

    def bury(self) -> Alone | None:
        """The death is dealt with. Returns who was alone with the engine."""
        alone, self.alone, self.death = self.alone, None, None
        return alone

    def _send_suspect(self, run: ClaimedBatch, engine: Engine, model: str) -> None:
        assert run.suspect is not None
        self.alone = Alone(run, run.suspect)
        log.warning("suspect_runs_alone", extra={"batch_id": run.id, "line": run.suspect.line})
        self._send(run, run.suspect, engine, model)
        run.suspect, run.refill_at = None, 0.0  # the next one is looked for at once

    def _send(self, run: ClaimedBatch, line: FetchedRequest, engine: Engine, model: str) -> None:
        self._fed += 1
        run.last_fed = self._fed
        self._bytes += line.input_length
        asked = self._cache.before(engine, look=line.attempts == 0) if run.batch.use_cache else engine
        task = asyncio.create_task(self._answer(run, line, asked, model))
        task.add_done_callback(lambda _task: self._forget(line))
        run.in_flight[line.line] = task

    def _forget(self, line: FetchedRequest) -> None:
        self._bytes -= line.input_length

    async def _answer(self, run: ClaimedBatch, line: FetchedRequest, engine: Answering, model: str) -> None:
        started_at = time.time()
        try:
            request = _request(run, line, model)
            key = constraint_key(request.body)
            answer = run.constraints.refusal(key) or run.constraints.judge(
                key, await engine.answer(request), batch_id=run.id
            )
        except EngineDeadError as error:
            self.death = str(error)
            self._on_death()  # the line stays in flight: whoever handles the death asks what was
            return
        except Exception as error:  # one request's bug must not stop the others
            log.exception("request_crashed", extra={"batch_id": run.id, "line": line.line})
            answer = _internal_error(error)
        if run.in_flight.pop(line.line, None) is not None:
            run.arrived.append(ArrivedAnswer(line, answer, started_at))
            self._on_arrival()


def _request(run: ClaimedBatch, line: FetchedRequest, model: str) -> EngineRequest:
    body = engine_body(run.read_line(line), model=model)
    return EngineRequest(ids.request_id(run.id, line.line), run.batch.endpoint, body)


def _internal_error(error: Exception) -> EngineAnswer:
    message = f"The request failed inside the worker: {type(error).__name__}."
    return EngineAnswer(500, error_body(500, message, code="internal_error"))
