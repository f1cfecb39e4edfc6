"""The processes of an engine: how they are started apart from their worker, marked, found again and killed.

Ctrl-C, and whoever signals a process group, must reach the worker alone: it ends the engine after its requests.
(A service manager that signals every process of a service has to be told to signal the main one: systemd's
KillMode=mixed.) The mark is an environment variable, so that processes which outlive their worker can be found.
"""

import multiprocessing
import os
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker, spawn
from pathlib import Path

import psutil

OWNER_VARIABLE = "INFERENCE_OWNER"
_OWN_SESSION = Path(__file__).with_name("own_session.sh")


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
def launching(owner: str) -> Iterator[None]:
    """Processes that multiprocessing spawns inside carry the owner's mark and lead a session of their own.

    So do all that they start. On a system without `setsid` they stay in the worker's session.
    """
    # The tracker is this process's own, to be started unmarked. When it ends it removes what killed engines left
    # in shared memory, which is nothing to warn of.
    with variables({"PYTHONWARNINGS": "ignore:resource_tracker"}):
        resource_tracker.ensure_running()
    # setproctitle, which names vLLM's processes, may otherwise overwrite the environment that `owned` reads.
    mark = {OWNER_VARIABLE: owner, "SPT_NOENV": "1", "INFERENCE_PYTHON": sys.executable}
    executable = spawn.get_executable()
    if shutil.which("setsid"):
        spawn.set_executable(str(_OWN_SESSION))
    try:
        with variables(mark):
            yield
    finally:
        spawn.set_executable(executable)


def owned(owner: str) -> list[psutil.Process]:
    """The living processes that carry the owner's mark."""
    return [process for process, its_owner in marked() if its_owner == owner]


def marked() -> list[tuple[psutil.Process, str]]:
    """The living processes that carry anybody's mark, and whose."""
    found = ((process, _owner(process)) for process in psutil.process_iter())
    return [(process, owner) for process, owner in found if owner is not None]


def busy_seconds(processes: Collection[psutil.Process]) -> float:
    """The processor time they have used; one that has ended counts no longer. Nothing when one of them is stopped:
    the others may spin while they wait for it."""
    if any(_is_stopped(process) for process in processes):
        return 0.0
    return sum(_processor_seconds(process) for process in processes)


def _is_stopped(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def _processor_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def kill_owned(owner: str) -> list[psutil.Process]:
    """SIGKILL every process that carries the owner's mark. They may take a while to end: see `have_ended`."""
    processes = owned(owner)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return processes


def have_ended(processes: Collection[psutil.Process]) -> bool:
    """Whether all are gone. The mark is gone sooner, when a process still holds its device."""
    multiprocessing.active_children()  # collects the exit status of those that are ours
    return not any(map(_is_alive, processes))


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _owner(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(OWNER_VARIABLE)
    except (psutil.Error, OSError):  # ended meanwhile, or somebody else's
        return None
