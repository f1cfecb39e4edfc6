"""One step of set-up: a command whose output goes to a log, and one line with its time on the terminal.

A failed step raises StepError with the cause in plain words where it is a known one, and the end of the log.
Standard library only; knows nothing about what is installed.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

LOG_LINES_SHOWN = 15
# Words found in a command's output, and what they mean for the person at the terminal.
_CAUSES = {
    r"No space left on device|Disk quota exceeded": "the disk is full",
    r"Temporary failure in name resolution|Name or service not known|Network is unreachable"
    r"|NewConnectionError|Connection refused|ConnectTimeout|[Rr]ead timed out|Tunnel connection"
    r"|dns error|error sending request": "the package index cannot be reached; check network and proxy",
    r"ensurepip is not\s+available|No module named '?(?:ensurepip|venv)": (
        "this Python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv"
    ),
    r"(?:Failed to build|building wheel for) '?pysqlite3": (
        "pysqlite3 must be compiled for this processor: apt-get install gcc python3-dev libsqlite3-dev"
    ),
}
Command = Sequence[str | Path]


class SetupError(Exception):
    """Why set-up cannot go on, in words for the terminal."""


class StepError(SetupError):
    """A step's command failed; `output` is what it printed."""

    def __init__(self, title: str, output: str, log: Path) -> None:
        self.output = output
        known = [words for pattern, words in _CAUSES.items() if re.search(pattern, output)]
        end = "".join(f"\n  | {line}" for line in output.splitlines()[-LOG_LINES_SHOWN:])
        super().__init__(f"{title}: {known[0]}; log: {log}" if known else f"{title}; log: {log}{end}")


class Steps:
    """Runs commands in one folder with one log."""

    def __init__(self, *, folder: Path, log: Path) -> None:
        self._folder = folder
        self.log = log

    def run(self, title: str, command: Command, *, note: str | None = None) -> None:
        """Run to the end. The terminal's line shows `note`, or else the last line that was printed."""
        started = time.monotonic()
        with self.log.open("a+") as log:
            print(f"== {title}: {' '.join(map(str, command))}", file=log, flush=True)
            begin = log.seek(0, os.SEEK_END)
            # The command inherits set-up's lock, so that one that outlives a killed set-up still holds it.
            process = subprocess.Popen(
                command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=False
            )
            self._wait(process, title, started)
            log.seek(begin)
            output = log.read()
        if process.returncode != 0:
            raise StepError(title, output, self.log)
        lines = output.splitlines() or [""]
        _line(title, time.monotonic() - started, lines[-1] if note is None else note)

    def succeeds(self, command: Command) -> bool:
        """Whether the command ends well; its output goes to the log."""
        with self.log.open("a") as log:
            result = subprocess.run(command, cwd=self._folder, stdout=log, stderr=log, check=False)
        return result.returncode == 0

    def _wait(self, process: subprocess.Popen[bytes], title: str, started: float) -> None:
        while True:
            try:
                process.wait(timeout=1)
                return
            except subprocess.TimeoutExpired:
                if sys.stdout.isatty():
                    _line(title, time.monotonic() - started, _last_line(self.log), end="\r")


def _line(title: str, seconds: float, note: str, end: str = "\n") -> None:
    text = f"{title:<22} {seconds:6.1f} s  {note}"
    if sys.stdout.isatty():
        text = "\033[K" + text[: shutil.get_terminal_size().columns - 1]
    print(text, end=end, flush=True)


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(-min(file.seek(0, os.SEEK_END), 2000), os.SEEK_END)
        lines = file.read().decode(errors="replace").splitlines()
    return lines[-1] if lines else ""
