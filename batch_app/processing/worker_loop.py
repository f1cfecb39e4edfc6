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
from batch_app.disk.storage_errors import describe_error
from batch_app.host.memory import memory_limit
from batch_app.inference.engine import Engine
from batch_app.models import Models, ModelSpec
from batch_app.processing import batch_completion, lost_workers
from batch_app.processing.answer_cache import AnswerCache
from batch_app.processing.batch_completion import Verdict
from batch_app.processing.claimed_batches import ClaimedBatches
from batch_app.processing.dispatch import Dispatcher
from batch_app.processing.engine_supervisor import EngineState, EngineSupervisor
from batch_app.processing.heartbeat import Heartbeat, WorkerStatus
from batch_app.processing.resource_guard import ResourceGuard
from batch_app.processing.scheduling import choose_model
from batch_app.processing.worker_status import status_of
from batch_app.settings import Settings
from batch_app.states import BatchStatus
from batch_app.store import batches
from batch_app.store.batches import Batch

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.5  # between two looks for work
RECORD_SECONDS = 0.25  # an answer waits no longer than this to be recorded
RECORD_LINES = 256  # nor for more than this many others
TOP_UPS_PER_WINDOW = 4
_AFTER_TROUBLE_SECONDS = 2.0


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
        self.stopping = self.hurried = False
        self.machine = ResourceGuard(
            max_temperature_c=settings.gpu_max_temperature_c,
            max_memory_bytes=memory_limit(settings.max_memory_percent),
        )
        self.runs = ClaimedBatches(database, settings, worker_id=worker_id)
        self.room = EngineSupervisor(make_engine, stall_seconds=settings.engine_stall_seconds)
        self._wake = asyncio.Event()
        self._feeder = Dispatcher(
            AnswerCache(settings.cache_path, max_bytes=settings.answer_cache_bytes),
            on_arrival=self._on_arrival,
            on_death=self._wake.set,
            max_bytes=settings.window_bytes,
        )
        self._database, self._settings, self._models = database, settings, models
        self._heartbeat = heartbeat
        self._swapping = False
        self._turn_trouble: str | None = None
        self._next_recovery_at = 0.0
        self._answers_total = 0

    async def run_once(self, *, now: float, steady: float) -> None:
        """One turn: whatever can be done now is done, nothing is waited for but the disk.

        `now` is the wall clock: it stamps what the ledger keeps. `steady` is a clock that nobody sets: everything this
        process waits for is measured on it.
        """
        self.machine.look(steady, self._heartbeat.gpu, self._heartbeat.memory_bytes)
        await self._recover_if_due(now, steady)
        self.room.turn(steady)
        self._bury_engine_if_dead(steady)
        await self.runs.return_fallen()
        await self.runs.record(now)
        waiting = await asyncio.to_thread(batches.list_open_batches, self._database)
        await self.runs.refresh(waiting)
        working = await self._end_early(waiting, now, steady)
        if not self.stopping:
            await self._choose_model(working, steady)
            await self._claim(working, now, steady)
            await self._feed(now, steady)
        await self.runs.watch(self.room.counters(), steady)
        for run in self.runs:
            await self.runs.complete(run, now, steady)
        self._heartbeat.tell(self._status(now, steady))

    async def run_forever(self) -> None:
        """Turns until `stop`; then lines in flight get their grace, and the rest goes back. A second `stop` ends the
        grace."""
        while not self.stopping:
            await self._turn()
        deadline = time.monotonic() + self._settings.grace_seconds
        while self.runs.held and not self.hurried and time.monotonic() < deadline:
            await self._turn()
        for run in self.runs:
            run.abandon_in_flight()
        try:
            await self.runs.record(time.time())  # what came since the last turn
            for run in self.runs:
                await self.runs.release(run)
        except SQLAlchemyError as error:  # the next worker takes what a stopped one holds
            log.error("release_failed", extra={"reason": describe_error(error)})
        await self.room.close()

    def stop(self) -> None:
        self.hurried = self.stopping
        self.stopping = True
        self._wake.set()

    async def _turn(self) -> None:
        """A turn and the pause after it. A disk or a database in trouble is waited out, not died of."""
        try:
            await self.run_once(now=time.time(), steady=time.monotonic())
            self._turn_trouble = None
        except (SQLAlchemyError, OSError) as error:
            self._turn_trouble = describe_error(error)
            log.error("turn_failed", extra={"reason": self._turn_trouble})
            self._heartbeat.tell(self._status(time.time(), time.monotonic()))
        seconds = RECORD_SECONDS if self.runs.held else IDLE_SECONDS
        if (self.runs.trouble or self._turn_trouble) and not self.stopping:
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
        # Before the engine runs dry: half of what it has in flight waits inside it for the other half.
        if self.runs.arrived >= min(RECORD_LINES, self.runs.held / TOP_UPS_PER_WINDOW):
            self._wake.set()

    async def _recover_if_due(self, now: float, steady: float) -> None:
        if steady >= self._next_recovery_at:
            self._next_recovery_at = steady + self._settings.heartbeat_seconds
            await asyncio.to_thread(
                lost_workers.release_lost_workers, self._database, self._settings, own_id=self.id, now=now
            )

    def _bury_engine_if_dead(self, steady: float) -> None:
        """Everything in flight goes back, and the engine room starts again. While the worker is stopping nobody
        is to blame: a Ctrl-C reaches the engine too."""
        reason = self._feeder.death or self.room.stalled(steady, in_flight=self.runs.in_flight)
        if reason is None:
            return
        alone = self._feeder.bury()
        self.room.note_death(steady, reason, convicts=alone is not None)
        for run in self.runs:
            convicted = alone.line if alone and alone.run is run and not self.stopping else None
            run.fall(convicted=convicted, blame=not self.stopping)

    async def _end_early(self, waiting: Sequence[Batch], now: float, steady: float) -> list[Batch]:
        """End the batches that end before all their lines are answered: cancelled, expired, or without a model.
        Those left behind in finalizing are taken up. Returns the batches that want work."""
        working = []
        for batch in waiting:
            verdict, run = self._verdict(batch, now), self.runs.get(batch.id)
            if verdict is None and batch.status in (BatchStatus.QUEUED, BatchStatus.IN_PROGRESS):
                working.append(batch)
                if run is not None and run.is_cut_short:
                    await self.runs.release(run)  # the end could not be made, and the reason for it is gone
                continue
            if run is None and batch.worker_id is None:
                run = await self.runs.open(batch, now, steady, only_to_end=True)
            if run is not None and verdict is not None:
                await self.runs.cut_short(run, verdict, now)
        self.room.refused = None
        return working

    def _verdict(self, batch: Batch, now: float) -> Verdict | None:
        if batch.status is BatchStatus.CANCELLING:
            return batch_completion.CANCELLED
        if batch.status not in (BatchStatus.QUEUED, BatchStatus.IN_PROGRESS):
            return None
        if batch.expires_at is not None and batch.expires_at <= now:
            return batch_completion.EXPIRED
        if self.room.refused and self.room.refused[0] == batch.served_model:
            return batch_completion.failed("model_load_failed", self.room.refused[1])
        return None

    async def _choose_model(self, working: Sequence[Batch], steady: float) -> None:
        """Swap to another model when its time has come: stop feeding, wait for what is in flight, load."""
        room = self.room
        self._swapping = False
        if room.state in (EngineState.LOADING, EngineState.DEAD):
            return
        wanted = choose_model(
            [batch for batch in working if self._can_take(batch, steady)],
            loaded=room.model,
            loaded_since=room.turn_began_at,
            turn_seconds=self._settings.model_turn_seconds,
            now=steady,
        )
        if wanted is not None and wanted != room.model:
            self._swapping = True
            if not self.runs.held:
                await self._swap(wanted, working)
        elif len(self.runs) and self.machine.wants_new_engine(steady, ready_since=room.ready_since):
            self._swapping = True
            if not self.runs.held:
                log.warning("engine_recycled", extra={"memory_bytes": self._heartbeat.memory_bytes})
                room.recycle()

    def _can_take(self, batch: Batch, steady: float) -> bool:
        """One that is put off is no work that keeps a model loaded."""
        return batch.worker_id in (None, self.id) and not self.runs.put_off.holds(batch.id, steady)

    async def _swap(self, wanted: str, working: Sequence[Batch]) -> None:
        for run in self.runs:
            await self.runs.release(run)
        spec = self._models.resolve(wanted)
        if spec is not None and spec.name == wanted:
            # A batch is in progress only once its model was loaded, by whichever worker.
            states = {batch.status for batch in working if batch.served_model == wanted}
            has_answered = await asyncio.to_thread(batches.has_answered, self._database, served_model=wanted)
            was_loaded = BatchStatus.IN_PROGRESS in states
            self.room.begin_load(spec, was_loaded=was_loaded, has_answered=has_answered)
        else:
            self.room.refused = (wanted, f"The model {wanted!r} is no longer in the models file.")

    async def _claim(self, working: Sequence[Batch], now: float, steady: float) -> None:
        """Claim what the loaded model can answer: a batch is in progress when it really is."""
        if self.room.engine is None or self._swapping:
            return
        for batch in working:
            fits = batch.served_model == self.room.model
            if fits and batch.worker_id is None and self.runs.get(batch.id) is None:
                await self.runs.open(batch, now, steady)

    async def _feed(self, now: float, steady: float) -> None:
        engine, model = self.room.engine, self.room.model
        if engine is None or model is None or self._swapping or self.machine.is_hot:
            return
        window = self._settings.window or engine.max_in_flight
        await self._feeder.feed(self.runs, engine, model=model, window=window, now=now, steady=steady)

    def _status(self, now: float, steady: float) -> WorkerStatus:
        return status_of(
            self.room,
            self.runs,
            self.machine,
            stopping=self.stopping,
            turn_trouble=self._turn_trouble,
            answers_total=self._answers_total,
            now=now,
            steady=steady,
        )
