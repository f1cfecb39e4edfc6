"""/health: one look tells whether all is well, and if not, what to do."""

import os
import shutil
import time
from collections.abc import Iterator

from batch_app import __version__
from batch_app.api.context import Context
from batch_app.api.schemas.health import (
    DatabaseHealth,
    DiskHealth,
    GpuHealth,
    GpuWord,
    Health,
    HeartbeatWord,
    LastDay,
    QueueHealth,
    WorkerHealth,
)
from batch_app.database import WAL_LIMIT_BYTES, Database
from batch_app.host.gpu import GpuSnapshot
from batch_app.operations.migrate import current_revision
from batch_app.settings import Settings
from batch_app.store import admission, progress, vacuum, wal_readers, workers
from batch_app.store.admission import QueueState
from batch_app.store.workers import Worker

_DAY_SECONDS = 24 * 3600
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


def _problems(worker: WorkerHealth, disk: DiskHealth, gpu_refusal: str | None) -> Iterator[str]:
    if worker.heartbeat == "none":
        yield "No worker is running: start one with `make worker`."
    elif worker.heartbeat != "fresh":
        age = worker.heartbeat_age_seconds
        yield f"The worker has been silent for {age:.0f} s: see its terminal; `make worker` starts another."
    if worker.trouble is not None:
        yield worker.trouble
    if gpu_refusal is not None:
        yield f"New batches are refused: {gpu_refusal}."
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


def _gpu(snapshot: GpuSnapshot | None, refusal: str | None, settings: Settings) -> GpuHealth:
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


def _gpu_status(snapshot: GpuSnapshot | None, refusal: str | None) -> GpuWord:
    if snapshot is None:
        return "not present"
    if refusal is None:
        return "healthy"
    return "too hot" if "°C" in refusal else "memory full"


def _worker(worker: Worker | None, settings: Settings, now: float) -> WorkerHealth:
    alive = worker is not None and worker.stopped_at is None
    age = round(now - worker.heartbeat_at, 1) if worker else None
    heartbeat = heartbeat_word(worker, settings, now)
    heard = heard_worker(worker, settings, now)
    status = "none"
    if worker is not None and alive:
        status = worker.state if heartbeat == "fresh" else heartbeat
    return WorkerHealth(
        status=status,
        heartbeat=heartbeat,
        heartbeat_age_seconds=age,
        id=worker.id if worker else None,
        pid=worker.pid if worker else None,
        host=worker.host if worker else None,
        engine=worker.engine if worker else None,
        model=heard.model if heard else None,
        batch_id=heard.batch_ids[0] if heard and heard.batch_ids else None,
        batch_ids=heard.batch_ids if heard else [],
        requests_in_flight=heard.requests_in_flight if heard else 0,
        tokens_per_second=round(heard.tokens_per_second, 1) if heard else 0.0,
        cached_prompt_share=heard.cached_prompt_share if heard else None,
        engine_restarts=worker.engine_restarts if worker else 0,
        memory_bytes=heard.memory_bytes if heard else None,
        trouble=_trouble(heard, now) if heard else None,
        started_at=int(worker.started_at) if worker else None,
    )


def _trouble(worker: Worker, now: float) -> str | None:
    """The worker's own words, and when it tries again."""
    if worker.trouble is None:
        return None
    if worker.next_try_at is None:
        return worker.trouble
    return f"{worker.trouble} Next try in {max(worker.next_try_at - now, 0):.0f} s."


def heartbeat_word(worker: Worker | None, settings: Settings, now: float) -> HeartbeatWord:
    """fresh, late, lost, or none when no worker is running."""
    if worker is None or (worker.stopped_at is not None and worker.state != "lost"):
        return "none"
    age = now - worker.heartbeat_at
    if worker.state == "lost" or age >= settings.lost_seconds:
        return "lost"
    return "late" if age >= settings.late_seconds else "fresh"


def heard_worker(worker: Worker | None, settings: Settings, now: float) -> Worker | None:
    """The worker, as long as what it said last may still be so: not of one that stopped or is lost."""
    return worker if heartbeat_word(worker, settings, now) in ("fresh", "late") else None


def _queue(state: QueueState, settings: Settings, gpu_refusal: str | None, now: float) -> QueueHealth:
    reason = gpu_refusal
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
