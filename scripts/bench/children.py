"""Starts the processes that the system is compared with, gives them files, and ends them with all they started."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from batch_app.inference import vllm_arguments
from scripts.bench.system import BenchError

_END_SECONDS = 30.0


class Yardstick:
    """A process of `yardstick.py`. `environment` comes on top of what the system sets for its own engine."""

    def __init__(
        self,
        kind: str,
        arguments: Mapping[str, Any],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._kind, self._log = kind, log
        own = dict(environment or {})
        around = {**os.environ, **own}
        variables = {**around, **vllm_arguments.environment(around)}
        if Path(str(arguments.get("model", ""))).is_absolute():
            variables["HF_HUB_OFFLINE"] = "1"
        with log.open("wb") as errors:
            self._process = psutil.Popen(
                [sys.executable, "-m", "scripts.bench.yardstick", kind, json.dumps(arguments)],
                env=variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def seconds(self, file: Path, *, chunk: int = 0) -> float:
        """How long it took for a file, `chunk` lines at a time. Raises BenchError when the process has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"file": str(file), "chunk": chunk}) + "\n")
            self._process.stdin.flush()
        reply = self._process.stdout.readline()
        if not reply:
            end = self._log.read_text(errors="replace")[-2000:]
            raise BenchError(f"{self._kind} ended without an answer:\n{end}")
        return float(json.loads(reply)["seconds"])

    def stop(self) -> None:
        processes = []
        with suppress(psutil.NoSuchProcess):
            processes = self._process.children(recursive=True)
        with suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        _wait_or_kill([self._process, *processes])
        assert self._process.stdout is not None
        self._process.stdout.close()


def end_all() -> None:
    """Whatever this process has started and still lives: a signal may have cut off a start, or an end."""
    left = psutil.Process().children(recursive=True)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _wait_or_kill(left)


def _wait_or_kill(processes: Sequence[psutil.Process]) -> None:
    _gone, left = psutil.wait_procs(processes, timeout=_END_SECONDS)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=_END_SECONDS)
