"""After a crash: whose claims are void, and what lies around that nothing refers to."""

import logging
import socket
from collections.abc import Sequence

import psutil

from batch_app.database import Database
from batch_app.inference.engine_processes import marked
from batch_app.operations import leftovers
from batch_app.processing.orphans import kill_until_gone
from batch_app.settings import Settings
from batch_app.store import claims, workers
from batch_app.store.workers import Worker

log = logging.getLogger(__name__)

_ROUNDING_SECONDS = 1.5  # the moment of the boot is told in whole seconds
_NO_UPTIME = 1e9  # seconds: decades


def release_lost_workers(database: Database, settings: Settings, *, own_id: str, now: float) -> list[str]:
    """Void the claims of workers that died on this machine, or have been silent for too long."""
    gone = [
        worker.id for worker in workers.living_workers(database) if worker.id != own_id and is_gone(worker)
    ]
    lost = claims.release_lost_workers(
        database, gone=gone, silent_since=workers.lost_before(settings, now=now), except_id=own_id, now=now
    )
    for worker_id in lost:
        log.warning("worker_lost", extra={"worker_id": worker_id})
        if worker_id in gone:  # its watcher should have; but that may have been killed as well
            kill_until_gone(worker_id)
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
        started = started_after_boot(process)
    except psutil.NoSuchProcess:
        return True
    noted = worker.process_started_at
    if noted > _NO_UPTIME:  # by the version before, as a moment: an update must not take its worker for dead
        noted -= psutil.boot_time()
    return is_dead or abs(started - noted) > _ROUNDING_SECONDS


def started_after_boot(process: psutil.Process) -> float:
    """Seconds. As a moment it would not stay the same: with every step of the clock the system's idea of the moment of
    its boot moves, and with it that of every start. Raises psutil.NoSuchProcess."""
    return float(process.create_time() - psutil.boot_time())


def sweep(database: Database, settings: Settings, *, lost: Sequence[str], now: float) -> None:
    """At start: kill engines that workers left behind, and remove what nothing refers to. An engine of somebody who is
    not in this database is somebody else's."""
    with_engines = workers.find_workers(database, worker_ids={owner for _process, owner in marked()})
    for worker_id in {*lost, *(worker.id for worker in with_engines if worker.stopped_at is not None)}:
        kill_until_gone(worker_id)
    leftovers.remove(leftovers.find_leftovers(database, settings, now=now))
