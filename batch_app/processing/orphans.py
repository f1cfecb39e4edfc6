"""Kills the engine processes of a worker that was killed itself.

A SIGKILLed worker leaves vLLM's processes behind, holding the GPU. A watcher, started by the worker in a session of
its own, waits for the worker's death and kills what carries its mark. `python -m batch_app.processing.orphans ID PID`.
"""

import os
import subprocess
import sys
import time

from batch_app.inference.engine_processes import kill_owned

_WATCH_SECONDS = 0.5
_PATIENCE_SECONDS = 5.0


def start_watcher(worker_id: str) -> subprocess.Popen[bytes]:
    """Its own session keeps a Ctrl-C in the worker's terminal away from it; told its parent's id, it need not be up
    before the parent dies.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "batch_app.processing.orphans", worker_id, str(os.getpid())],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    )


def watch(worker_id: str, parent: int) -> None:
    """Wait until the parent is gone, then kill what it left. An orderly end leaves nothing."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    kill_until_gone(worker_id)


def kill_until_gone(worker_id: str) -> None:
    """Processes that are just being started carry the mark a moment later: look again until there are none."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while kill_owned(worker_id) and time.monotonic() < deadline:
        time.sleep(_WATCH_SECONDS)


if __name__ == "__main__":
    watch(sys.argv[1], int(sys.argv[2]))
