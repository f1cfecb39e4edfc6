"""The real processes in milliseconds: forked from one that has imported the code, and like any other from there on.

They have pids, memory, signals and locks of their own and die by themselves; only the second that Python takes to
import everything is saved. `Nursery` is the tests' side; they are forked from `python -m tests.processes.forked`.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from types import FrameType
from typing import Any

import psutil

from batch_app.disk import failpoints
from batch_app.settings import PROJECT_DIR
from tests.processes.system import System
from tests.waiting import wait_until

_IMPORTED = (
    "batch_app.api_server",
    "batch_app.worker",
    "serve_results",
    "batch_app.backup",
    "batch_app.restore",
)


class Nursery:
    """Forks processes on demand. Thread-safe; close it when done, which kills what is left."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.processes.forked"],
            cwd=PROJECT_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )

    def ask(self, **question: Any) -> Any:
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def fork(self, module: str, *arguments: str, environment: dict[str, str], log: Path) -> "Forked":
        asked = {"module": module, "arguments": arguments, "environment": environment, "log": str(log)}
        return Forked(self, self.ask(**asked), module)

    def close(self) -> None:
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            self._process.wait(timeout=30)
            self._process.stdout.close()


class Forked:
    """A process of the nursery, with the part of `subprocess.Popen` that the tests use."""

    def __init__(self, nursery: Nursery, pid: int, module: str) -> None:
        self._nursery = nursery
        self.pid, self.args, self.returncode = pid, module, None

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it lives."""
        if self.returncode is None:
            self.returncode = self._nursery.ask(status_of=self.pid)
        return self.returncode

    @property
    def stands_still(self) -> bool:
        return self.poll() is None and psutil.Process(self.pid).status() == psutil.STATUS_STOPPED

    def wait(self, timeout: float = 120) -> int:
        try:
            wait_until(lambda: self.poll() is not None, what=f"{self.args} to end", timeout=timeout)
        except AssertionError:
            raise subprocess.TimeoutExpired(self.args, timeout) from None
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@dataclass
class ForkedSystem(System):
    """A system whose own processes come from a nursery. `failpoint` is that of the processes to be started."""

    nursery: Nursery = field(kw_only=True)
    failpoint: str | None = None

    def start(self, *arguments: str, cwd: Path = PROJECT_DIR) -> Any:
        module, *rest = [word.removesuffix(".py") for word in arguments if word != "-m"]
        if module not in _IMPORTED:
            return super().start(*arguments, cwd=cwd)
        environment = self.environment()
        if self.failpoint is not None:
            environment[failpoints.VARIABLE] = self.failpoint
        self.log.touch()  # to be read at once, empty as it is
        process = self.nursery.fork(module, *rest, environment=environment, log=self.log)
        self.processes.append(process)  # type: ignore[arg-type]
        return process


class _Mother:
    """The process that is forked from: it does what it reads on its standard input, and nothing by itself."""

    def __init__(self) -> None:
        self._children: set[int] = set()
        self._ended: dict[int, int] = {}

    def live(self) -> None:
        signal.signal(signal.SIGCHLD, self._reap)
        for line in sys.stdin:
            question = json.loads(line)
            if "status_of" in question:
                answer: int | None = self._ended.get(question["status_of"])
            else:
                answer = self._fork(**question)
            print(json.dumps(answer), flush=True)
        for child in self._children - set(self._ended):
            os.kill(child, signal.SIGKILL)

    def _reap(self, _number: int, _frame: FrameType | None) -> None:
        """At once: a process that nobody has waited for still looks alive."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._ended[pid] = os.waitstatus_to_exitcode(status)

    def _fork(self, module: str, arguments: list[str], environment: dict[str, str], log: str) -> int:
        pid = os.fork()
        if pid:
            self._children.add(pid)
            return pid
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        _live_as(module, arguments, environment, log)
        return 0


def _live_as(module: str, arguments: list[str], environment: dict[str, str], log: str) -> None:
    """What a child does: the module's `main`, as if it had been started with it. Does not return."""
    status = 70
    try:
        nothing, output = (
            os.open(os.devnull, os.O_RDONLY),
            os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT),
        )
        for descriptor, number in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(descriptor, number)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = [module, *arguments]
        failpoints.arm(os.environ.get(failpoints.VARIABLE))
        status = importlib.import_module(module).main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  # the outermost frame: what comes here would end Python with a traceback
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    for name in _IMPORTED:
        importlib.import_module(name)
    _Mother().live()
