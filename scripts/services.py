"""Runs `make start` as a child, and leaves none of them behind however it ends.

honcho gives each service a session of its own, so a signal to honcho's group alone does not reach them. Every
process started here carries a mark in its environment, which its children inherit even when their parent is
gone.
"""

import ctypes
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from batch_app.disk.files import make_folder

_START: Final = Path(__file__).resolve().parent / "start.py"
_MARK: Final = "SERVICES_MARK"
_TERM_SECONDS: Final = 20.0
_KILL_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.1
_PR_SET_PDEATHSIG: Final = 1


class Services:
    """The processes of one Procfile; what they print goes to `log`."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._mark = secrets.token_hex(8)
        self._honcho: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        make_folder(self.log.parent)  # the demo's is the data folder, not made by the API yet
        with self.log.open("wb") as log:
            self._honcho = subprocess.Popen(
                [sys.executable, str(_START)],
                env={**os.environ, _MARK: self._mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509  # called before there are threads
            )

    @property
    def are_running(self) -> bool:
        """honcho ends all of them as soon as one of them ends."""
        return self._honcho is not None and self._honcho.poll() is None

    def last_lines(self, count: int) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()[-count:]

    def stop(self) -> None:
        """SIGTERM, patience, SIGKILL. When it returns, no process of ours is left."""
        seen = self._processes()
        if self._honcho is not None and self.are_running:
            self._honcho.terminate()
            seen = self._wait_for_end(seen, _TERM_SECONDS)
        _signal(seen, signal.SIGTERM)
        seen = self._wait_for_end(seen, _KILL_SECONDS)
        deadline = time.monotonic() + _KILL_SECONDS
        while seen and time.monotonic() < deadline:
            _signal(seen, signal.SIGKILL)
            seen = self._wait_for_end(seen, _POLL_SECONDS)
        if self._honcho is not None:
            self._honcho.wait()

    def _wait_for_end(self, seen: list[psutil.Process], seconds: float) -> list[psutil.Process]:
        """What is left of those seen, and of those that came since, after at most `seconds`."""
        deadline = time.monotonic() + seconds
        while (left := _alive([*seen, *self._processes()])) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return left

    def _processes(self) -> list[psutil.Process]:
        """By mark and by descent: a process that renames itself can lose its environment, an orphan its
        parent.
        """
        found = [process for process in psutil.process_iter() if self._is_marked(process)]
        if self._honcho is not None:
            with suppress(psutil.Error):
                found += psutil.Process(self._honcho.pid).children(recursive=True)
        return found

    def _is_marked(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(_MARK) == self._mark
        except (psutil.Error, OSError):
            return False


def _end_with_parent() -> None:
    """Ask Linux to end honcho when this process is killed without a chance to clean up."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _alive(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Without those that are dead but not yet waited for, which is for their parent to do."""
    return [process for process in dict.fromkeys(processes) if _runs(process)]


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)
