"""The worker's loop: claims batches, keeps the engine fed, records answers, ends batches.

`Worker.run_once` is one turn. A crash between or inside turns loses nothing: the next incarnation finds every line
that is not recorded pending again. Knows nothing about HTTP; meets the API in the database only.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from batch_app.database import Database
from batch_app.inference.engine import Engine
from batch_app.models import Models, ModelSpec
from batch_app.processing import finish, recover
from batch_app.processing.engine_room import EngineRoom, RoomState
from batch_app.processing.feed import Feeder
from batch_app.processing.finish import Verdict
from batch_app.processing.heartbeat import Heartbeat, Status
from batch_app.processing.runs import Runs
from batch_app.processing.schedule import choose_model
from batch_app.settings import Settings
from batch_app.states import BatchStatus
from batch_app.store import batches
from batch_app.store.batches import Batch
from batch_app.store.workers import WorkerReport

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.5  # between two looks for work
RECORD_SECONDS = 0.25  # an answer waits no longer than this to be recorded
RECORD_LINES = 256  # nor for more than this many others
_AFTER_TROUBLE_SECONDS = 2.0
_COOL_BY_C = 5.0


class Worker:
    """One incarnation. `heartbeat` is told the worker's status; whoever made it starts and stops its thread."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        models: Models,
        make_engine: Callable[[ModelSpec], Engine],
        heartbeat: Heartbeat,
        *,
        worker_id: str,
    ) -> None:
        self.id = worker_id
        self.stopping = False
        self.runs = Runs(database, settings, worker_id=worker_id)
        self.room = EngineRoom(make_engine, stall_seconds=settings.engine_stall_seconds)
        self._feeder = Feeder(on_arrival=self._on_arrival, on_death=self._on_death)
        self._database, self._settings, self._models = database, settings, models
        self._heartbeat = heartbeat
        self._wake = asyncio.Event()
        self._engine_died = self._is_hot = self._swapping = False
        self._next_recovery_at = 0.0
        self._answers_total = 0

    async def run_once(self, now: float) -> None:
        """One turn: whatever can be done now is done, nothing is waited for but the disk."""
        await self._recover_if_due(now)
        self.room.turn(now)
        await self._bury_engine_if_dead(now)
        await self.runs.record(now)
        waiting = await asyncio.to_thread(batches.list_open_batches, self._database)
        await self.runs.refresh(waiting)
        working = await self._end_early(waiting, now)
        if not self.stopping:
            await self._choose_model(working, now)
            await self._claim(working, now)
            await self._feed(now)
        for run in self.runs:
            await self.runs.complete(run, now)
        self._heartbeat.tell(self._status())

    async def run_forever(self) -> None:
        """Turns until `stop`; then lines in flight get their grace, and the rest goes back."""
        while not self.stopping:
            await self._turn()
        deadline = time.time() + self._settings.grace_seconds
        while self.runs.held and time.time() < deadline:
            await self._turn()
        for run in self.runs:
            await self.runs.release(run)
        await self.room.close()

    def stop(self) -> None:
        self.stopping = True
        self._wake.set()

    async def _turn(self) -> None:
        """A turn and the pause after it. A disk or a database in trouble is waited out, not died of."""
        try:
            await self.run_once(time.time())
        except (SQLAlchemyError, OSError) as error:
            log.error("turn_failed", extra={"reason": str(error)})
            await asyncio.sleep(_AFTER_TROUBLE_SECONDS)
        seconds = RECORD_SECONDS if self.runs.held else IDLE_SECONDS
        if self.runs.trouble is not None:
            seconds = _AFTER_TROUBLE_SECONDS
            self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    def _on_arrival(self) -> None:
        self._answers_total += 1
        self.room.note_answer()
        if self.runs.arrived >= RECORD_LINES or self.runs.in_flight == 0:
            self._wake.set()

    def _on_death(self) -> None:
        self._engine_died = True
        self._wake.set()

    async def _recover_if_due(self, now: float) -> None:
        if now >= self._next_recovery_at:
            self._next_recovery_at = now + self._settings.heartbeat_seconds
            await asyncio.to_thread(
                recover.release_lost_workers, self._database, self._settings, own_id=self.id, now=now
            )

    async def _bury_engine_if_dead(self, now: float) -> None:
        """Everything in flight goes back, and the engine room starts again. While the worker is stopping nobody
        is to blame: a Ctrl-C reaches the engine too."""
        if self.room.is_stalled(now, in_flight=self.runs.in_flight):
            log.error("engine_stalled", extra={"model": self.room.model, "in_flight": self.runs.in_flight})
            self._engine_died = True
        if not self._engine_died:
            return
        self._engine_died = False
        self.room.note_death(now)
        alone, self._feeder.alone = self._feeder.alone, None
        for run in self.runs:
            convicted = alone.line if alone and alone.run is run and not self.stopping else None
            await self.runs.bury_in_flight(run, convicted=convicted, blame=not self.stopping, now=now)

    async def _end_early(self, waiting: Sequence[Batch], now: float) -> list[Batch]:
        """End the batches that end before all their lines are answered: cancelled, expired, or without a model.
        Those left behind in finalizing are taken up. Returns the batches that want work."""
        working = []
        for batch in waiting:
            verdict = self._verdict(batch, now)
            if verdict is None and batch.status in (BatchStatus.QUEUED, BatchStatus.IN_PROGRESS):
                working.append(batch)
                continue
            run = self.runs.get(batch.id)
            if run is None and batch.worker_id is None:
                run = await self.runs.open(batch, now)
            if run is not None and verdict is not None:
                await self.runs.cut_short(run, verdict, now)
        self.room.refused = None
        return working

    def _verdict(self, batch: Batch, now: float) -> Verdict | None:
        if batch.status is BatchStatus.CANCELLING:
            return finish.CANCELLED
        if batch.status not in (BatchStatus.QUEUED, BatchStatus.IN_PROGRESS):
            return None
        if batch.expires_at is not None and batch.expires_at <= now:
            return finish.EXPIRED
        if self.room.refused and self.room.refused[0] == batch.served_model:
            return finish.failed("model_load_failed", self.room.refused[1])
        return None

    async def _choose_model(self, working: Sequence[Batch], now: float) -> None:
        """Swap to another model when its time has come: stop feeding, wait for what is in flight, load."""
        room = self.room
        self._swapping = False
        if room.state in (RoomState.LOADING, RoomState.DEAD):
            return
        wanted = choose_model(
            [batch for batch in working if batch.worker_id in (None, self.id)],
            loaded=room.model,
            loaded_since=room.ready_since,
            turn_seconds=self._settings.model_turn_seconds,
            now=now,
        )
        if wanted is None or wanted == room.model:
            return
        self._swapping = True
        if not self.runs.held:
            for run in self.runs:
                await self.runs.release(run)
            spec = self._models.resolve(wanted)
            if spec is not None:
                room.begin_load(spec)
            else:
                room.refused = (wanted, f"The model {wanted!r} is no longer in the models file.")

    async def _claim(self, working: Sequence[Batch], now: float) -> None:
        """Claim what the loaded model can answer: a batch is in progress when it really is."""
        if self.room.engine is None or self._swapping:
            return
        for batch in working:
            fits = batch.served_model == self.room.model
            if fits and batch.worker_id is None and self.runs.get(batch.id) is None:
                await self.runs.open(batch, now)

    async def _feed(self, now: float) -> None:
        engine, model = self.room.engine, self.room.model
        if engine is None or model is None or self._swapping or self._too_hot():
            return
        window = self._settings.window or engine.max_in_flight
        for run in self.runs:
            if run.batch.status is BatchStatus.IN_PROGRESS:
                await self.runs.refill(run, below=window, now=now)
        self._feeder.top_up(list(self.runs), engine, model=model, window=window)
        if not self.runs.held and not any(run.ready for run in self.runs):
            await self._feed_a_suspect(engine, model)

    async def _feed_a_suspect(self, engine: Engine, model: str) -> None:
        for run in self.runs:
            if run.batch.status is BatchStatus.IN_PROGRESS and (line := await self.runs.take_suspect(run)):
                self._feeder.feed_alone(run, line, engine, model=model)
                return

    def _too_hot(self) -> bool:
        gpu, limit = self._heartbeat.gpu, self._settings.gpu_max_temperature_c
        if gpu is not None and gpu.temperature_c is not None:
            was_hot = self._is_hot
            self._is_hot = gpu.temperature_c > (limit - _COOL_BY_C if was_hot else limit)
            if self._is_hot != was_hot:
                action = "feeding_paused" if self._is_hot else "feeding_resumed"
                log.warning(action, extra={"temperature_c": gpu.temperature_c, "limit_c": limit})
        return self._is_hot

    def _status(self) -> Status:
        counters = self.room.counters()
        queries = counters.prefix_cache_queries
        if self.stopping:
            state = "draining"
        elif self.room.state in (RoomState.LOADING, RoomState.DEAD):
            state = "loading"
        else:
            state = "processing" if len(self.runs) else "idle"
        report = WorkerReport(
            state=state,
            model=self.room.model,
            batch_ids=[run.id for run in self.runs],
            requests_in_flight=self.runs.in_flight,
            cached_prompt_share=counters.prefix_cache_hits / queries if queries else None,
            engine_restarts=self.room.restarts,
        )
        return Status(report, tokens_total=counters.generation_tokens, answers_total=self._answers_total)
