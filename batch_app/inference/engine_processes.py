"""The processes of an engine: how they are marked, spared a Ctrl-C, found again and ended.

A mark is an environment variable, so that processes which outlived their worker can still be found by it.
Knows nothing about models or requests.
"""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker

import psutil

OWNER_VARIABLE = "INFERENCE_OWNER"


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables that are set inside, for this process and those it starts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def marked(owner: str) -> Iterator[None]:
    """Processes started inside carry the owner's mark; so do all that they start."""
    # setproctitle, which names vLLM's processes, may otherwise overwrite the environment that `owned` reads.
    with variables({OWNER_VARIABLE: owner, "SPT_NOENV": "1"}):
        yield


def spare_children_of_this_thread() -> None:
    """Children that this thread starts never see SIGINT or SIGTERM.

    Ctrl-C reaches the whole process group, and service managers signal every process of a service. The worker
    alone decides when an engine ends, after its requests. A signal mask survives exec, and unlike an ignored
    signal it also outlasts the handlers that the child installs. SIGKILL still ends them.
    """
    # Started now, because starting it later would unblock both signals in this thread. When it ends it removes
    # what killed engines left in shared memory, as it should: nothing to warn of.
    with variables({"PYTHONWARNINGS": "ignore:resource_tracker"}):
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
