"""Engine processes that outlive their worker: found by the mark in their environment, and killed.

A SIGKILLed worker leaves vLLM's processes behind, holding the GPU. A watcher, started by the worker in a session of
its own, waits for the worker's death and kills what carries its mark. `python -m batch_app.processing.orphans ID`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Collection

import psutil

MARK = "INFERENCE_OWNER"
_WATCH_SECONDS = 0.5
_PATIENCE_SECONDS = 5.0


def marked_processes() -> list[tuple[psutil.Process, str]]:
    """Every process of this user that carries a mark, with the worker id it names."""
    found = []
    for process in psutil.process_iter():
        try:
            owner = process.environ().get(MARK)
        except (psutil.Error, OSError):
            continue
        if owner:
            found.append((process, owner))
    return found


def kill_owned_by(owners: Collection[str]) -> int:
    """Kill the engine processes of these workers and wait until they are gone. Returns how many there were."""
    own = [process for process, owner in marked_processes() if owner in owners and process.pid != os.getpid()]
    for process in own:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(own, timeout=_PATIENCE_SECONDS)
    return len(own)


def start_watcher(worker_id: str) -> subprocess.Popen[bytes]:
    """Started before the engine; its own session keeps a Ctrl-C in the worker's terminal away from it."""
    return subprocess.Popen(
        [sys.executable, "-m", "batch_app.processing.orphans", worker_id],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    )


def watch(worker_id: str, parent: int) -> None:
    """Wait until the parent is gone, then kill what it left. An unmarked, orderly end leaves nothing."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    kill_owned_by({worker_id})


if __name__ == "__main__":
    watch(sys.argv[1], os.getppid())
