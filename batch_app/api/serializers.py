"""From rows to wire objects: one batch as clients see it, with its progress, rates and what it waits for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from batch_app.api import eta
from batch_app.api.eta import RATE_SECONDS, Range
from batch_app.api.schemas import batches as schemas
from batch_app.database import Database
from batch_app.settings import Settings
from batch_app.states import FINAL_BATCH_STATES, BatchStatus, wire_status
from batch_app.store import batches, files, progress, workers
from batch_app.store.batches import Batch
from batch_app.store.engine_usage import EngineUsage
from batch_app.store.files import FileFacts
from batch_app.store.progress import Counts, Pace
from batch_app.store.workers import Worker

_MOMENTS = [field.name for field in fields(Batch) if field.name.endswith("_at")]
_SET_LATER = {*_MOMENTS, "errors", "output_file_id", "error_file_id", "engine_use"} - {
    "created_at",
    "expires_at",
}


@dataclass(frozen=True)
class _Surroundings:
    """What batches look like depends on this besides their own rows and those of their ledgers."""

    now: float
    worker: Worker | None  # None too when it is lost
    queued: Sequence[str]
    queue_etas: Mapping[str, Range]
    files: Mapping[str, FileFacts]
    retries: Mapping[str, list[str]]
    chunk_size: int


def receipt(batch: Batch) -> schemas.Receipt:
    return schemas.Receipt(
        batch_id=batch.id,
        status=wire_status(BatchStatus.QUEUED, batch.dialect),  # as it was when it was accepted
        model=batch.model,
        total_requests=batch.total_requests,
        created_at=schemas.iso(batch.created_at),
        endpoint=batch.endpoint,
        input_file_id=batch.input_file_id,
        parent_batch_id=batch.parent_batch_id,
    )


def accepted_object(
    database: Database, settings: Settings, batch: Batch, *, now: float
) -> schemas.BatchObject:
    """The batch as it was when it was made, whatever has become of it. OpenAI answers so even when the check of the
    file has failed: a client learns that by asking again."""
    changed: dict[str, Any] = dict.fromkeys(_SET_LATER)
    new = replace(batch, **changed, status=BatchStatus.QUEUED)
    around = replace(_surroundings(database, settings, [new], now), retries={})
    return _batch_object(new, Counts(pending=batch.total_requests), None, around)


def batch_objects(
    database: Database, settings: Settings, found: Sequence[Batch], *, now: float
) -> list[schemas.BatchObject]:
    """Wire objects of some batches, with as many queries for one as for a hundred."""
    open_ids = [batch.id for batch in found if batch.status not in FINAL_BATCH_STATES]
    counts = progress.counts_of(database, found=found)
    paces = progress.pace_of(database, batch_ids=open_ids, since=now - RATE_SECONDS)
    around = _surroundings(database, settings, found, now)
    return [
        _batch_object(batch, counts.get(batch.id, Counts()), paces.get(batch.id), around) for batch in found
    ]


def _file_ids(found: Sequence[Batch]) -> set[str]:
    ids = {one for batch in found for one in (batch.input_file_id, batch.output_file_id, batch.error_file_id)}
    return {file_id for file_id in ids if file_id is not None}


def _surroundings(
    database: Database, settings: Settings, found: Sequence[Batch], now: float
) -> _Surroundings:
    open_batches = batches.list_open_batches(database)
    is_one_waiting = any(batch.status is BatchStatus.QUEUED for batch in found)
    turn = settings.model_turn_seconds
    return _Surroundings(
        now=now,
        worker=workers.heard_worker(database, settings, now=now),
        queued=[batch.id for batch in open_batches if batch.status is BatchStatus.QUEUED],
        queue_etas=eta.queue_etas(database, open_batches, turn_seconds=turn, now=now)
        if is_one_waiting
        else {},
        files=files.facts_of(database, file_ids=_file_ids(found)),
        retries=batches.retries_of(database, batch_ids=[batch.id for batch in found]),
        chunk_size=settings.chunk_size,
    )


def _batch_object(
    batch: Batch, counts: Counts, pace: Pace | None, around: _Surroundings
) -> schemas.BatchObject:
    nothing = FileFacts(None, None)
    source, output, errors = (
        around.files.get(file_id or "", nothing)
        for file_id in (batch.input_file_id, batch.output_file_id, batch.error_file_id)
    )
    moments = {
        name: schemas.seconds(getattr(batch, name))
        for name in schemas.BatchObject.model_fields
        if name.endswith("_at") and name != "created_at"
    }
    return schemas.BatchObject(
        id=batch.id,
        endpoint=batch.endpoint,
        model=batch.model,
        errors=_errors(batch),
        input_file_id=batch.input_file_id,
        completion_window=batch.completion_window,
        status=wire_status(batch.status, batch.dialect),
        output_file_id=batch.output_file_id,
        error_file_id=batch.error_file_id,
        created_at=int(batch.created_at),
        **moments,
        request_counts=schemas.RequestCounts(
            total=batch.total_requests, completed=counts.completed, failed=counts.failed
        ),
        usage=_usage(counts),
        metadata=batch.metadata,
        batch_id=batch.id,
        total_requests=batch.total_requests,
        priority=batch.priority,
        order=batch.line_order,
        deduplicate=batch.deduplicate,
        use_cache=batch.use_cache,
        reused=schemas.Reused(deduplicated=counts.deduplicated, cached=counts.from_cache),
        engine=_engine(batch.engine_use, counts),
        parent_batch_id=batch.parent_batch_id,
        retried_by=around.retries.get(batch.id, []),
        filename=source.filename,
        input_bytes=source.bytes,
        output_bytes=output.bytes,
        error_bytes=errors.bytes,
        progress=_progress(batch, counts, pace, around),
    )


def _engine(use: EngineUsage | None, counts: Counts) -> schemas.EngineReport | None:
    if use is None or not use.seconds:
        return None
    return schemas.EngineReport(
        seconds=round(use.seconds, 1),
        full_share=round(use.full_seconds / use.seconds, 4),
        mean_requests=round(use.running_seconds / use.seconds, 1),
        mean_cache_usage=round(use.cache_seconds / use.seconds, 4),
        preemptions=use.preemptions,
        cached_prompt_share=round(counts.cached_tokens / counts.input_tokens, 4)
        if counts.input_tokens
        else None,
    )


def _errors(batch: Batch) -> schemas.BatchErrors | None:
    if not batch.errors:
        return None
    return schemas.BatchErrors(data=[schemas.LineErrorObject(**error) for error in batch.errors])


def _usage(counts: Counts) -> schemas.Usage:
    return schemas.Usage(
        input_tokens=counts.input_tokens,
        input_tokens_details=schemas.InputTokensDetails(cached_tokens=counts.cached_tokens),
        output_tokens=counts.output_tokens,
        output_tokens_details=schemas.OutputTokensDetails(reasoning_tokens=counts.reasoning_tokens),
        total_tokens=counts.input_tokens + counts.output_tokens,
    )


def _progress(batch: Batch, counts: Counts, pace: Pace | None, around: _Surroundings) -> schemas.Progress:
    answered = counts.completed + counts.failed + counts.cancelled + counts.expired
    chunks = max(-(-batch.total_requests // around.chunk_size), 1)
    elapsed = eta.elapsed_seconds(batch, around.now)
    speed = eta.speed_of(batch, answered=answered, pace=pace, now=around.now)
    # What is cancelled is not worked on any more.
    remaining = 0 if batch.status is BatchStatus.CANCELLING else batch.total_requests - answered
    return schemas.Progress(
        percent=round(100 * answered / batch.total_requests, 2) if batch.total_requests else 0.0,
        phase=_phase(batch, around),
        pending=counts.pending,
        running=counts.running,
        cancelled=counts.cancelled,
        expired=counts.expired,
        chunk=min(answered // around.chunk_size + 1, chunks),
        chunks=chunks,
        requests_per_second=round(speed.recent, 2) if speed.recent is not None else None,
        tokens_per_second=round(pace.output_tokens / eta.window_seconds(elapsed), 1) if pace else None,
        eta_seconds=around.queue_etas.get(batch.id, eta.eta(remaining, speed)),
        queue_position=around.queued.index(batch.id) + 1 if batch.id in around.queued else None,
        elapsed_seconds=round(elapsed, 1) if elapsed is not None else None,
    )


def _phase(batch: Batch, around: _Surroundings) -> str:
    if batch.status in FINAL_BATCH_STATES:
        return "done"
    if around.worker is None:
        return "waiting_for_worker"
    if batch.status in (BatchStatus.CANCELLING, BatchStatus.FINALIZING):
        return str(batch.status)
    if around.worker.state == "loading" and around.worker.model == batch.served_model:
        return "loading_model"
    return "running" if batch.worker_id is not None else "queued"
