"""The real processes of the system, started, killed and looked at as an operator would."""

import fcntl
import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import requests
from pysqlite3 import dbapi2

from batch_app.inference.engine_processes import OWNER_VARIABLE
from batch_app.settings import PREFIX, PROJECT_DIR
from tests.waiting import wait_until

MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"


def free_port() -> int:
    """One that nobody else takes before the server it is meant for does, nor while that is down in a test."""
    while True:
        port = next(_own_ports())
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@cache
def _own_ports() -> Iterator[int]:
    """In turn; below those that the kernel hands out to connections, and of no other run of tests on this machine."""
    for first in range(15_000, 32_000, 1000):
        lock = Path(tempfile.gettempdir()) / f"batch-tests-{os.getuid()}-{first}.lock"
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until this process ends
        except BlockingIOError:
            os.close(descriptor)
        else:
            return itertools.cycle(range(first, first + 1000))
    raise AssertionError("too many runs of tests at once")


@dataclass
class System:
    """API, worker and pages on one data folder. `settings` are BATCH_ variables without the prefix."""

    data_dir: Path
    settings: dict[str, str] = field(default_factory=dict)
    api_port: int = field(default_factory=free_port)
    web_port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        own = {
            "ENV_FILE": os.devnull,
            "DATA_DIR": str(self.data_dir),
            "API_PORT": str(self.api_port),
            "WEB_PORT": str(self.web_port),
            "ENGINE": "echo",
            "HEARTBEAT_SECONDS": "1",
            "RETRY_BACKOFF_SECONDS": "0.1",
            **self.settings,
        }
        return {**clean, "PYTHONUNBUFFERED": "1", **{PREFIX + name: value for name, value in own.items()}}

    def start(self, *arguments: str, cwd: Path = PROJECT_DIR) -> subprocess.Popen[bytes]:
        """Any of our processes, its output appended to `output.log` beside the data folder."""
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=cwd,
                env=self.environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    @property
    def log(self) -> Path:
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        return self.data_dir.parent / "output.log"

    def start_api(self) -> subprocess.Popen[bytes]:
        process = self.start("-m", "batch_app.api_server")
        wait_until(lambda: self._answers(f"{self.url}/livez", process), what="the API to answer")
        return process

    def start_worker(self) -> subprocess.Popen[bytes]:
        """Returns at once; `wait_for_worker` waits for its first heartbeat."""
        return self.start("-m", "batch_app.worker")

    def start_web(self) -> subprocess.Popen[bytes]:
        process = self.start("serve_results.py")
        wait_until(
            lambda: self._answers(f"{self.web_url}/dashboard.html", process), what="the pages to answer"
        )
        return process

    def start_all(self) -> None:
        self.start_api()
        self.start_worker()
        self.start_web()
        self.wait_for_worker()

    def wait_for_worker(self) -> None:
        wait_until(lambda: self.health()["worker"]["heartbeat"] == "fresh", what="a worker's heartbeat")

    def _answers(self, url: str, process: subprocess.Popen[bytes]) -> bool:
        if process.poll() is not None:
            raise AssertionError(f"{process.args!r} ended with {process.returncode}:\n{self.log.read_text()}")
        try:
            return requests.get(url, timeout=5).ok
        except (requests.ConnectionError, requests.Timeout):
            return False

    def stop(self, process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit status."""
        process.send_signal(number)
        return process.wait(timeout=120)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """kill -9, as the out-of-memory killer or a power cut would."""
        self.stop(process, signal.SIGKILL)

    def stop_outside_a_write(self, process: subprocess.Popen[bytes]) -> None:
        """SIGSTOP. One that stood still in the middle of a write would hold up whoever else writes."""

        def stands_outside() -> bool:
            process.send_signal(signal.SIGSTOP)
            stopped = psutil.STATUS_STOPPED
            wait_until(lambda: psutil.Process(process.pid).status() == stopped, what="it to stand still")
            path = str(self.data_dir / "batch.db")
            with closing(dbapi2.connect(path, timeout=0, isolation_level=None)) as connection:
                try:
                    connection.execute("BEGIN IMMEDIATE")
                except dbapi2.OperationalError:
                    process.send_signal(signal.SIGCONT)
                    return False
                return True

        wait_until(stands_outside, what="a moment between two writes")

    def stop_all(self) -> None:
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def engines(self) -> list[psutil.Process]:
        """The engine processes of this system's workers, which inherit their environment."""
        found = []
        for process in psutil.process_iter():
            try:
                environment = process.environ()
                if (
                    OWNER_VARIABLE in environment
                    and environment.get(f"{PREFIX}DATA_DIR") == str(self.data_dir)
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def submit(self, content: bytes, *, model: str = MODEL, **fields: Any) -> str:
        """Submit a file through the owner's form; returns the batch id."""
        answer = requests.post(
            f"{self.url}/v1/batches",
            files={"file": ("input.jsonl", content)},
            data={"model": model, **fields},
            timeout=120,
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["batch_id"])

    def get(self, path: str) -> Any:
        answer = requests.get(f"{self.url}{path}", timeout=120)
        answer.raise_for_status()
        return answer.json()

    def health(self) -> Any:
        return self.get("/health")

    def batch(self, batch_id: str) -> Any:
        return self.get(f"/v1/batches/{batch_id}")

    def answered(self, batch_id: str) -> int:
        counts = self.batch(batch_id)["request_counts"]
        return int(counts["completed"]) + int(counts["failed"])

    def results(self, batch_id: str) -> bytes:
        answer = requests.get(f"{self.url}/v1/batches/{batch_id}/results", timeout=120)
        answer.raise_for_status()
        return answer.content

    def wait_for_end(self, batch_id: str, *, timeout: float = 120) -> Any:
        """The batch once it is final."""
        final = {"completed", "failed", "expired", "cancelled"}

        def ended() -> Any:
            batch = self.batch(batch_id)
            return batch if batch["status"] in final else None

        return wait_until(ended, what=f"{batch_id} to end", timeout=timeout, every=0.1)
