"""Answers /health: whether all is well, and if not, what to do."""

import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

from batch_app import __version__
from batch_app.api.context import Context
from batch_app.api.schemas.health import (
    DatabaseHealth,
    DiskHealth,
    GpuHealth,
    GpuWord,
    Health,
    LastDay,
    QueueHealth,
    WorkerHealth,
)
from batch_app.database import WAL_LIMIT_BYTES, Database
from batch_app.host.gpu import GpuRefusal, GpuSnapshot, RefusalCause
from batch_app.operations.migrate import current_revision
from batch_app.settings import Settings
from batch_app.store import admission, progress, vacuum, wal_readers, workers
from batch_app.store.admission import QueueState
from batch_app.store.workers import Worker, heartbeat_status, is_heard

_DAY_SECONDS = 24 * 3600
_NO_WORKER: dict[str, Any] = {
    **dict.fromkeys(WorkerHealth.model_fields),
    "status": "none",
    "heartbeat": "none",
    "batch_ids": [],
    "requests_in_flight": 0,
    "tokens_per_second": 0.0,
    "engine_restarts": 0,
}
_LOW_DISK_BYTES = 2 * 1024**3
_FULL_DISK_BYTES = 4 * 1024**2


def health(context: Context) -> Health:
    """Readings of now."""
    now = time.time()
    worker = _worker(workers.latest_worker(context.database), context.settings, now)
    snapshot, gpu_refusal = context.submissions.gpu()
    queue = _queue(admission.queue_state(context.database), context.settings, gpu_refusal, now)
    disk = _disk(context.settings)
    problems = [*_problems(worker, disk, gpu_refusal), *_stuck_readers(context.database)]
    return Health(
        status="degraded" if problems else "ok",
        problems=problems,
        version=__version__,
        time=int(now),
        database=_database(context),
        gpu=_gpu(snapshot, gpu_refusal, context.settings),
        worker=worker,
        queue=queue,
        last_24_hours=_last_day(context, now),
        disk=disk,
    )


def _problems(worker: WorkerHealth, disk: DiskHealth, gpu_refusal: GpuRefusal | None) -> Iterator[str]:
    if worker.heartbeat == "none":
        yield "No worker is running: start one with `make worker`."
    elif worker.heartbeat != "fresh":
        age = worker.heartbeat_age_seconds
        yield f"The worker has been silent for {age:.0f} s: see its terminal; `make worker` starts another."
    if worker.trouble is not None:
        yield worker.trouble
    if gpu_refusal is not None:
        yield f"New batches are refused: {gpu_refusal.message}."
    if disk.free_bytes < _FULL_DISK_BYTES:
        yield f"The disk of {disk.path} is full: make room, and all goes on by itself. Nothing is lost meanwhile."
    elif disk.free_bytes < _LOW_DISK_BYTES:
        yield (
            f"Only {disk.free_bytes / 1024**3:.1f} GiB are free on the disk of {disk.path}: make room, "
            "or let old batches go with BATCH_KEEP_ENDED_BATCHES_DAYS."
        )


def _stuck_readers(database: Database) -> Iterator[str]:
    """Programs that are not ours: those read for moments."""
    log = vacuum.wal_bytes(database)
    if log > WAL_LIMIT_BYTES:
        ours = {os.getpid(), *(worker.pid for worker in workers.living_workers(database))}
        for pid in sorted(wal_readers.reading_pids(database) - ours):
            yield (
                f"Process {pid} ({wal_readers.name_of(pid)}) holds an old state of the database, whose -wal has grown "
                f"to {log / 1024**2:.0f} MiB: end it with `kill {pid}`. Nothing is lost meanwhile."
            )


def _database(context: Context) -> DatabaseHealth:
    return DatabaseHealth(
        status="ok",
        schema=current_revision(context.database),
        size_bytes=context.database.path.stat().st_size,
        wal_bytes=vacuum.wal_bytes(context.database),
    )


def _gpu(snapshot: GpuSnapshot | None, refusal: GpuRefusal | None, settings: Settings) -> GpuHealth:
    limits = {
        "max_memory_percent": settings.gpu_max_memory_percent,
        "max_temperature_c": settings.gpu_max_temperature_c,
    }
    names = list(GpuSnapshot.__dataclass_fields__)
    readings = {name: getattr(snapshot, name) if snapshot else None for name in names}
    percent = round(snapshot.memory_percent, 1) if snapshot else None
    return GpuHealth(
        available=snapshot is not None,
        status=_gpu_status(snapshot, refusal),
        **readings,
        memory_percent=percent,
        **limits,
    )


def _gpu_status(snapshot: GpuSnapshot | None, refusal: GpuRefusal | None) -> GpuWord:
    if snapshot is None:
        return "not present"
    if refusal is None:
        return "healthy"
    return "too hot" if refusal.cause is RefusalCause.TOO_HOT else "memory full"


def _worker(worker: Worker | None, settings: Settings, now: float) -> WorkerHealth:
    if worker is None:
        return WorkerHealth(**_NO_WORKER)
    heartbeat = heartbeat_status(worker, settings, now=now)
    known = {
        **_NO_WORKER,
        "heartbeat": heartbeat,
        "heartbeat_age_seconds": round(now - worker.heartbeat_at, 1),
        "id": worker.id,
        "pid": worker.pid,
        "host": worker.host,
        "engine": worker.engine,
        "engine_restarts": worker.engine_restarts,
        "started_at": int(worker.started_at),
    }
    if worker.stopped_at is None:
        known["status"] = worker.state if heartbeat == "fresh" else heartbeat
    if is_heard(worker, settings, now=now):
        known |= {
            "model": worker.model,
            "batch_id": worker.batch_ids[0] if worker.batch_ids else None,
            "batch_ids": worker.batch_ids,
            "requests_in_flight": worker.requests_in_flight,
            "tokens_per_second": round(worker.tokens_per_second, 1),
            "cached_prompt_share": worker.cached_prompt_share,
            "memory_bytes": worker.memory_bytes,
            "trouble": _trouble(worker, now),
        }
    return WorkerHealth(**known)


def _trouble(worker: Worker, now: float) -> str | None:
    """The worker's own words, and when it tries again."""
    if worker.trouble is None:
        return None
    if worker.next_try_at is None:
        return worker.trouble
    return f"{worker.trouble} Next try in {max(worker.next_try_at - now, 0):.0f} s."


def _queue(state: QueueState, settings: Settings, gpu_refusal: GpuRefusal | None, now: float) -> QueueHealth:
    reason = gpu_refusal.message if gpu_refusal else None
    if state.active_batches >= settings.max_active_batches:
        reason = f"{state.active_batches} of {settings.max_active_batches} batches are active"
    elif state.queued_requests >= settings.max_queued_requests:
        reason = f"{state.queued_requests} of {settings.max_queued_requests} requests are queued"
    oldest = state.oldest_created_at
    return QueueHealth(
        accepting=reason is None,
        reason=reason,
        active_batches=state.active_batches,
        max_active_batches=settings.max_active_batches,
        queued_requests=state.queued_requests,
        max_queued_requests=settings.max_queued_requests,
        oldest_waiting_seconds=round(now - oldest, 1) if oldest is not None else None,
        max_requests_per_batch=settings.max_requests_per_batch,
        max_file_bytes=settings.max_file_bytes,
        max_line_bytes=settings.max_line_bytes,
        allow_grammars=settings.allow_grammars,
    )


def _last_day(context: Context, now: float) -> LastDay:
    totals = progress.totals_since(context.database, since=now - _DAY_SECONDS)
    return LastDay(answers=totals.answers, failed=totals.failed, dead_letters=totals.dead_letters)


def _disk(settings: Settings) -> DiskHealth:
    usage = shutil.disk_usage(settings.data_dir)
    return DiskHealth(
        path=str(settings.data_dir),
        free_bytes=usage.free,
        total_bytes=usage.total,
        free_percent=round(100 * usage.free / usage.total, 1),
    )
