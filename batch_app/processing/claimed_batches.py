"""The batches this worker has claimed: taking them, recording their answers, ending them, giving them back.

Every step goes through a claim, so a batch that was taken over meanwhile is let go of and nothing is written to it.
Blocking work runs in threads: the event loop belongs to the engine.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from batch_app.database import Database
from batch_app.disk.storage_errors import describe_error
from batch_app.errors import ClaimLostError, ConflictError
from batch_app.inference.engine import EngineCounters
from batch_app.processing import batch_completion
from batch_app.processing.answer_recorder import record_arrivals
from batch_app.processing.batch_completion import Verdict
from batch_app.processing.claimed_batch import ClaimedBatch
from batch_app.processing.deferred_batches import DeferredBatches
from batch_app.processing.lost_answers import requeue_lost_answers
from batch_app.processing.outcomes import MAX_BACKOFF_SECONDS, RetryPolicy
from batch_app.settings import Settings
from batch_app.store import batches, claims, files, request_writes
from batch_app.store.batches import Batch
from batch_app.store.claims import Claim
from batch_app.store.request_writes import FetchedRequest

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_LOOK_AGAIN_SECONDS = 0.5


class ClaimedBatches:
    """A sequence of open runs, in the order they were claimed."""

    def __init__(self, database: Database, settings: Settings, *, worker_id: str) -> None:
        self._database, self._settings, self._worker_id = database, settings, worker_id
        self._retry_rule = RetryPolicy(settings.max_attempts, settings.retry_backoff_seconds)
        self._runs: dict[str, ClaimedBatch] = {}
        self.put_off = DeferredBatches()

    def __iter__(self) -> Iterator[ClaimedBatch]:
        return iter(list(self._runs.values()))

    def get(self, batch_id: str) -> ClaimedBatch | None:
        return self._runs.get(batch_id)

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def held(self) -> int:
        return sum(run.held for run in self._runs.values())

    @property
    def in_flight(self) -> int:
        return sum(len(run.in_flight) for run in self._runs.values())

    @property
    def arrived(self) -> int:
        return sum(len(run.arrived) for run in self._runs.values())

    @property
    def trouble(self) -> str | None:
        """Why answers cannot be saved at present."""
        return next((reason for run in self for reason in run.troubles.values()), None)

    async def open(
        self, batch: Batch, now: float, steady: float, *, only_to_end: bool = False
    ) -> ClaimedBatch | None:
        """Claim a batch; None when somebody was faster, or when it cannot be taken up and is put off."""
        if self.put_off.holds(batch.id, steady):
            return None
        claim = await asyncio.to_thread(
            claims.claim_batch,
            self._database,
            batch_id=batch.id,
            worker_id=self._worker_id,
            only_to_end=only_to_end,
            now=now,
        )
        if claim is None:
            return None
        log.info("batch_claimed", extra={"batch_id": batch.id, "epoch": claim.epoch})
        try:
            self._runs[batch.id] = run = await asyncio.to_thread(self._begin, claim)
        except ClaimLostError:
            return None
        except (OSError, SQLAlchemyError) as error:
            reason = describe_error(error)
            log.error("batch_put_off", extra={"batch_id": batch.id, "reason": reason})
            self.put_off.note(batch.id, reason, steady)
            await asyncio.to_thread(claims.release_claim, self._database, claim=claim)
            return None
        self.put_off.forget(batch.id)
        return run

    def _begin(self, claim: Claim) -> ClaimedBatch:
        """Raises ClaimLostError."""
        claim = requeue_lost_answers(self._database, self._settings, claim)
        batch = batches.get_batch(self._database, batch_id=claim.batch_id)
        source = files.get_file(self._database, file_id=batch.input_file_id)
        return ClaimedBatch(
            batch,
            claim,
            source=self._settings.data_dir / source.path,
            work_folder=self._settings.work_dir / batch.id,
        )

    async def release(self, run: ClaimedBatch) -> None:
        """Give a batch back, what it has in flight abandoned. Harmless when the claim is lost already."""
        self._close(run)
        await asyncio.to_thread(claims.release_claim, self._database, claim=run.claim)

    async def refresh(self, waiting: Sequence[Batch]) -> None:
        """Take note of what others did to the batches: cancelled ones change state, lost ones are let go."""
        rows = {batch.id: batch for batch in waiting}
        self.put_off.keep_only(rows)
        for run in self:
            row = rows.get(run.id)
            if row is not None and (row.worker_id, row.claim_epoch) == (self._worker_id, run.claim.epoch):
                run.batch = row
            else:
                log.warning("claim_lost", extra={"batch_id": run.id})
                await self.release(run)
        for row in waiting:
            if row.worker_id == self._worker_id and row.id not in self._runs:
                # Something failed between the claim and the run; without this nobody would ever take it up.
                claim = Claim(row.id, self._worker_id, row.claim_epoch, output_end=0, error_end=0)
                await asyncio.to_thread(claims.release_claim, self._database, claim=claim)

    async def refill(self, run: ClaimedBatch, *, below: int, now: float, steady: float) -> None:
        """Take the next chunk from the ledger before the last one is used up; a suspect when there is none."""
        if len(run.ready) >= below or steady < run.refill_at:
            return
        taken = await self._patiently(
            run,
            "taking lines",
            lambda: request_writes.fetch_requests(
                self._database,
                claim=run.claim,
                limit=self._settings.chunk_size,
                below_engine_deaths=self._settings.max_engine_deaths,
                longest_backoff_seconds=MAX_BACKOFF_SECONDS,
                now=now,
            ),
        )
        run.ready.extend(taken or [])
        if len(taken or []) < self._settings.chunk_size:
            run.refill_at = steady + _LOOK_AGAIN_SECONDS
        if taken == [] and not run.ready and run.suspect is None:
            run.suspect = await self._take_suspect(run, now)

    async def _take_suspect(self, run: ClaimedBatch, now: float) -> FetchedRequest | None:
        return await self._patiently(
            run,
            "taking lines",
            lambda: request_writes.fetch_suspect(
                self._database,
                claim=run.claim,
                from_engine_deaths=self._settings.max_engine_deaths,
                longest_backoff_seconds=MAX_BACKOFF_SECONDS,
                now=now,
            ),
        )

    async def record(self, now: float) -> None:
        """Record what has arrived. When the disk or the database refuses, answers wait in the window."""
        for run in self:
            if run.arrived or run.convicted or run.unrecorded:
                await self._record_run(run, now)

    async def _record_run(self, run: ClaimedBatch, now: float) -> None:
        await self._patiently(
            run, "saving answers", lambda: record_arrivals(self._database, run, self._retry_rule, now=now)
        )

    async def return_fallen(self) -> None:
        """After the engine's death: the ledger learns that what was in flight runs no longer."""
        for run in self:
            if run.fallen:
                await self._return_fallen(run)

    async def _return_fallen(self, run: ClaimedBatch) -> None:
        lines, blame = run.fallen[:], run.is_blamed

        def give_back() -> None:
            request_writes.return_requests(
                self._database, claim=run.claim, lines=lines, after_engine_death=blame
            )
            del run.fallen[: len(lines)]
            run.is_blamed = False

        await self._patiently(run, "returning lines", give_back)

    async def watch(self, counters: EngineCounters, steady: float) -> None:
        """Note for each run how the engine is used."""
        for run in self:
            run.utilisation.look(counters, in_flight=len(run.in_flight), now=steady)
        for run in self:
            if run.utilisation.must_be_saved(steady, every_seconds=self._settings.heartbeat_seconds):
                await self._patiently(run, "noting the use of the engine", partial(self._save_use, run))

    def _save_use(self, run: ClaimedBatch) -> None:
        claims.save_engine_usage(self._database, claim=run.claim, use=run.utilisation.use)

    async def complete(self, run: ClaimedBatch, now: float, steady: float) -> None:
        """End a run if all its lines are answered."""
        if run.is_cut_short or not run.is_drained or steady < run.end_at:
            return
        run.end_at = steady + _LOOK_AGAIN_SECONDS
        done = await self._patiently(
            run, "ending it", lambda: batch_completion.complete(self._database, self._settings, run, now=now)
        )
        if done:
            self._close(run)

    async def cut_short(self, run: ClaimedBatch, verdict: Verdict, now: float) -> None:
        """End a run before its time; what has arrived is kept."""
        run.is_cut_short = True
        run.abandon_in_flight()
        run.ready.clear()
        run.suspect = None
        run.fallen.clear()  # the end that comes is theirs too

        def cut() -> bool:
            batch_completion.cut_short(self._database, self._settings, run, verdict, now=now)
            return True

        await self._record_run(run, now)
        if self.get(run.id) is run and not run.held and await self._patiently(run, "ending it", cut):
            self._close(run)

    async def _patiently(self, run: ClaimedBatch, doing: str, step: Callable[[], _T]) -> _T | None:
        """As `_under_claim`. A disk or a database that refuses is waited out: None, and the run's troubles say why."""
        try:
            result = await self._under_claim(run, step)
        except (OSError, SQLAlchemyError) as error:
            reason = describe_error(error)
            if doing not in run.troubles:
                log.error("batch_paused", extra={"batch_id": run.id, "doing": doing, "reason": reason})
            run.troubles[doing] = reason
            return None
        if run.troubles.pop(doing, None) is not None:
            log.info("batch_resumed", extra={"batch_id": run.id, "doing": doing})
        return result

    async def _under_claim(self, run: ClaimedBatch, step: Callable[[], _T]) -> _T | None:
        """Do a step in a thread; None when the claim turns out to be lost, and then the run is gone."""
        try:
            return await asyncio.to_thread(step)
        except ClaimLostError:
            log.warning("claim_lost", extra={"batch_id": run.id})
            await self.release(run)
        except ConflictError as error:  # cancelled in this very moment: the next turn sees the new state
            log.info("batch_moved_meanwhile", extra={"batch_id": run.id, "reason": str(error)})
            await self.release(run)
        except (
            EOFError
        ) as error:  # its logs are gone, with a lost claim or by the disk's fault: the next claim mends
            log.warning("logs_were_gone", extra={"batch_id": run.id, "reason": str(error)})
            await self.release(run)
        return None

    def _close(self, run: ClaimedBatch) -> None:
        if self._runs.pop(run.id, None) is run:
            run.close()
