"""Engines end with their worker: a watcher sees to it, and the next worker where that was killed too."""

import os
import subprocess
import sys
import textwrap
from contextlib import suppress

import psutil
import pytest

from batch_app.database import Database
from batch_app.inference.engine_processes import OWNER_VARIABLE
from batch_app.processing import lost_workers
from batch_app.settings import Settings
from batch_app.store import workers
from tests.factories import NOW, start_worker
from tests.processes.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.process

ENDS_WITHIN = 10.0  # seconds, of a killed worker's engine
# Starts the watcher and is gone before the watcher's Python is up.
WORKER = textwrap.dedent("""
    import os
    from batch_app.processing.orphans import start_watcher
    print(start_watcher("worker-that-dies-at-once").pid, flush=True)
    os._exit(1)
""")


def test_a_watcher_whose_worker_died_before_it_was_up_ends_too() -> None:
    with subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        watcher = int(worker.stdout.readline())
        try:
            wait_until(lambda: has_ended(watcher), what="the watcher to end")
        finally:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(watcher).kill()


def has_ended(pid: int) -> bool:
    """Also where nobody waits for the processes that outlive their parent, as in a container without an init."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _engine_of(owner: str) -> subprocess.Popen[bytes]:
    """A process that looks like an engine's: marked, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        env={**os.environ, OWNER_VARIABLE: owner},
        start_new_session=True,
    )


def _start_worker(system: System) -> tuple[subprocess.Popen[bytes], str]:
    """It and its id, once it is up."""
    system.start_api()
    worker = system.start_worker()
    system.wait_for_worker()
    return worker, system.health()["worker"]["id"]


def test_an_engine_whose_worker_was_killed_is_gone_within_ten_seconds_though_no_other_worker_comes(
    system: System,
) -> None:
    worker, worker_id = _start_worker(system)
    with _engine_of(worker_id) as engine, _engine_of("worker_of_somebody_else") as foreign:
        try:
            system.kill(worker)
            wait_until(lambda: engine.poll() is not None, what="the engine to end", timeout=ENDS_WITHIN)
            assert foreign.poll() is None
        finally:
            engine.kill()
            foreign.kill()


def test_an_engine_whose_worker_and_watcher_were_both_killed_is_ended_by_the_next_worker(
    system: System,
) -> None:
    worker, worker_id = _start_worker(system)
    [watcher] = [
        child
        for child in psutil.Process(worker.pid).children()
        if "batch_app.processing.orphans" in child.cmdline()
    ]
    with _engine_of(worker_id) as engine, _engine_of("worker_of_somebody_else") as foreign:
        watcher.kill()
        system.kill(worker)
        assert engine.poll() is None
        system.start_worker()
        wait_until(lambda: engine.poll() is not None, what="the engine to end")
        assert foreign.poll() is None
        foreign.kill()


def test_an_engine_that_outlived_its_worker_is_ended_however_long_ago_that_was(
    database: Database, settings: Settings
) -> None:
    worker_id = start_worker(database)
    workers.stop_worker(database, worker_id=worker_id, now=NOW)
    living = start_worker(database)
    with _engine_of(worker_id) as engine, _engine_of(living) as of_a_living_one:
        lost_workers.sweep(database, settings, lost=[], now=NOW + 1_000_000)
        wait_until(lambda: engine.poll() is not None, what="the engine to end")
        assert of_a_living_one.poll() is None
        of_a_living_one.kill()
