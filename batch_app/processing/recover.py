"""After a crash: whose claims are void, and what lies around that nothing refers to."""

import logging
import socket
from collections.abc import Sequence

import psutil

from batch_app.database import Database
from batch_app.errors import BatchNotFoundError
from batch_app.files import remove_folder
from batch_app.processing.orphans import kill_until_gone
from batch_app.settings import Settings
from batch_app.states import FINAL_BATCH_STATES
from batch_app.store import batches, claims, files, workers
from batch_app.store.workers import Worker

log = logging.getLogger(__name__)

_UNNAMED_SECONDS = 3600.0  # an upload or a publication takes less between the file and its row


def release_lost_workers(database: Database, settings: Settings, *, own_id: str, now: float) -> list[str]:
    """Void the claims of workers that died on this machine, or have been silent for too long."""
    gone = [
        worker.id for worker in workers.living_workers(database) if worker.id != own_id and is_gone(worker)
    ]
    lost = claims.release_lost_workers(
        database, gone=gone, silent_since=now - settings.lost_seconds, except_id=own_id, now=now
    )
    for worker_id in lost:
        log.warning("worker_lost", extra={"worker_id": worker_id})
    return lost


def is_gone(worker: Worker) -> bool:
    """Whether its process is known to have ended. The pid alone does not tell: pids are used again."""
    if worker.host != socket.gethostname():
        return False
    try:
        process = psutil.Process(worker.pid)
        is_dead = (
            process.status() == psutil.STATUS_ZOMBIE
        )  # and nobody has waited for it, as in many a container
        started_at = process.create_time()
    except psutil.NoSuchProcess:
        return True
    return is_dead or abs(started_at - worker.process_started_at) > 1


def sweep(database: Database, settings: Settings, *, lost: Sequence[str], now: float) -> None:
    """At start: kill engines of workers just found dead, remove the logs of batches that have ended, and files
    that nothing names."""
    for worker_id in lost:
        kill_until_gone(worker_id)
    for folder in settings.work_dir.glob("batch_*"):
        try:
            ended = batches.get_batch(database, batch_id=folder.name).status in FINAL_BATCH_STATES
        except BatchNotFoundError:
            ended = True
        if ended:
            remove_folder(folder)
    _sweep_unnamed_files(database, settings, now=now)


def _sweep_unnamed_files(database: Database, settings: Settings, *, now: float) -> None:
    """Files that became durable just before a crash, and that nothing has named since."""
    old = [
        path
        for path in settings.files_dir.glob("file-*.jsonl")
        if path.stat().st_mtime < now - _UNNAMED_SECONDS
    ]
    known = files.known_ids(database) if old else set()
    for path in old:
        if path.stem not in known:
            path.unlink(missing_ok=True)
