"""The watcher of a worker's engine processes ends with the worker, however early the worker dies."""

import subprocess
import sys
import textwrap
from contextlib import suppress

import psutil
import pytest

from tests.waiting import wait_until

pytestmark = pytest.mark.process

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
            wait_until(lambda: not psutil.pid_exists(watcher), what="the watcher to end", timeout=10)
        finally:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(watcher).kill()
