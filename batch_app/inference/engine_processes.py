"""The processes of an engine: how they are marked, spared a Ctrl-C, found again and ended.

A mark is an environment variable, so that processes which outlived their worker can still be found by it.
Knows nothing about models or requests.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker

import psutil

OWNER_VARIABLE = "INFERENCE_OWNER"


@contextmanager
def marked(owner: str) -> Iterator[None]:
    """Processes started inside carry the owner's mark; so do all that they start."""
    # Without it setproctitle, which names vLLM's processes, overwrites the environment that `owned` reads.
    os.environ["SPT_NOENV"] = "1"
    os.environ[OWNER_VARIABLE] = owner
    try:
        yield
    finally:
        del os.environ[OWNER_VARIABLE]


def spare_children_of_this_thread() -> None:
    """Children that this thread starts never see SIGINT or SIGTERM.

    Ctrl-C reaches the whole process group, and service managers signal every process of a service. The worker
    alone decides when an engine ends, after its requests. A signal mask survives exec, and unlike an ignored
    signal it also outlasts the handlers that the child installs. SIGKILL still ends them.
    """
    # Started now, because starting it later would unblock both signals in this thread.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})


def owned(owner: str) -> list[psutil.Process]:
    """The living processes that carry the owner's mark."""
    return [process for process in psutil.process_iter() if _owner(process) == owner]


def kill_owned(owner: str) -> bool:
    """SIGKILL every process that carries the owner's mark; whether there were any."""
    processes = owned(owner)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return bool(processes)


def _owner(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(OWNER_VARIABLE)
    except (psutil.Error, OSError):  # ended meanwhile, or somebody else's
        return None
