"""The system under test: API and worker as a user starts them, on a data folder and a port of their own.

Everything goes in over HTTP and comes out over HTTP. Whatever way a measurement ends, both processes end with it.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import func, select

from batch_app.database import Database
from batch_app.store.tables import batches

PROJECT = Path(__file__).resolve().parent.parent.parent
_POLL_SECONDS = 0.05
# A question takes the API some 10 ms of a core that the engine could have had: it is asked ever more seldom. When a
# batch ended is what the database says, not when the answer was seen.
_SLOWEST_POLL_SECONDS = 5.0
_LATE_SHARE = 0.2  # of the time waited so far, at most, an end is noticed late
_START_SECONDS = 600.0
_STOP_SECONDS = 60.0
_BOUNDARY = "one-part-after-another"


class BenchError(Exception):
    """Why a measurement could not be made, in words for the table."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class System:
    """`settings` are BATCH_ variables without their prefix; `environment` is added for the worker alone."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: Mapping[str, str],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.data = folder / "data"
        self.port = free_port()
        self.processes: dict[str, psutil.Popen] = {}
        self._log = folder / "log"
        self._worker_environment = dict(environment or {})
        clean = {name: value for name, value in os.environ.items() if not name.startswith("BATCH_")}
        own = {"ENV_FILE": os.devnull, "DATA_DIR": str(self.data), "API_PORT": str(self.port), **settings}
        self._environment = {**clean, **{f"BATCH_{name}": value for name, value in own.items()}}

    def start(self, *names: str) -> None:
        """Some of "api_server" and "worker"; returns when the API answers and the worker, if started, lives."""
        for name in names or ("api_server", "worker"):
            extra = self._worker_environment if name == "worker" else {}
            with self._log.open("ab") as log:
                self.processes[name] = psutil.Popen(
                    [sys.executable, "-m", f"batch_app.{name}"],
                    cwd=PROJECT,
                    env={**self._environment, **extra},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
        ready = "/readyz" if "worker" in self.processes else "/livez"
        self._until(lambda: self._status_of(ready) == 200, what=f"{ready} to answer", limit=_START_SECONDS)

    def stop(self) -> None:
        for process in reversed(self.processes.values()):
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=_STOP_SECONDS)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(timeout=_STOP_SECONDS)
        self.processes.clear()

    def rss(self, name: str) -> int:
        return int(self.processes[name].memory_info().rss)

    def cpu_seconds(self) -> float:
        """Of both processes and everything they started."""
        total = 0.0
        for process in self.processes.values():
            for one in [process, *process.children(recursive=True)]:
                times = one.cpu_times()
                total += times.user + times.system
        return total

    def get(self, path: str) -> Any:
        status, body = self._call("GET", path)
        if status != 200:
            raise BenchError(f"GET {path} answered {status}: {body[:300]!r}")
        return json.loads(body)

    def submit(self, file: Path, model: str, fields: Mapping[str, str] | None = None) -> str:
        """The owner's form, streamed. Returns the batch's id when it is accepted."""
        head, tail = _form(file.name, {"model": model, **(fields or {})})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.putrequest("POST", "/v1/batches")
        connection.putheader("Content-Type", f"multipart/form-data; boundary={_BOUNDARY}")
        connection.putheader("Content-Length", str(len(head) + file.stat().st_size + len(tail)))
        connection.endheaders(head)
        with file.open("rb") as source:
            while piece := source.read(1024 * 1024):
                connection.send(piece)
        connection.send(tail)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status != 200:
            raise BenchError(f"a batch was refused with {answer.status}: {body[:300]!r}")
        return str(json.loads(body)["batch_id"])

    def cancel(self, batch_id: str) -> None:
        self._call("DELETE", f"/v1/batches/{batch_id}")

    def wait_for_end(self, batch_ids: Sequence[str]) -> float:
        """The moment at which the last one ended, in Unix seconds. Raises BenchError unless every line of every batch
        has its answer."""
        began = time.monotonic()
        for batch_id in batch_ids:
            while (batch := self.get(f"/v1/batches/{batch_id}"))["status"] not in {"completed", "failed"}:
                self._require_alive()
                waited = time.monotonic() - began
                time.sleep(min(max(_LATE_SHARE * waited, _POLL_SECONDS), _SLOWEST_POLL_SECONDS))
            if batch["request_counts"]["completed"] != batch["total_requests"]:
                raise BenchError(f"not every line was answered: {batch['request_counts']} {batch['errors']}")
        return self._last_end(batch_ids)

    def _last_end(self, batch_ids: Sequence[str]) -> float:
        """Exactly: the API gives whole seconds."""
        query = select(func.max(batches.c.completed_at)).where(batches.c.id.in_(batch_ids))
        with closing(Database(self.data / "batch.db")) as database, database.read() as connection:
            return float(connection.execute(query).scalar_one())

    def answer(self, *files: Path, model: str, fields: Mapping[str, str] | None = None) -> float:
        """Seconds from "accepted" to "every line durable", of one batch or of several sent at once."""
        batch_ids = [self.submit(file, model, fields) for file in files[:1]]
        began = time.time()
        batch_ids += [self.submit(file, model, fields) for file in files[1:]]
        return self.wait_for_end(batch_ids) - began

    def _call(self, method: str, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _status_of(self, path: str) -> int:
        try:
            return self._call("GET", path)[0]
        except OSError:
            return 0

    def _until(self, condition: Callable[[], bool], *, what: str, limit: float) -> None:
        deadline = time.monotonic() + limit
        while not condition():
            self._require_alive()
            if time.monotonic() > deadline:
                raise BenchError(f"waited {limit:.0f} s for {what}")
            time.sleep(_POLL_SECONDS)

    def _require_alive(self) -> None:
        for name, process in self.processes.items():
            if process.poll() is not None:
                end = self._log.read_text(errors="replace")[-2000:]
                raise BenchError(f"the {name} ended with {process.returncode}:\n{end}")


def _form(filename: str, fields: Mapping[str, str]) -> tuple[bytes, bytes]:
    """What goes before and after the file's bytes."""
    texts = "".join(
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        "Content-Type: application/jsonl\r\n\r\n"
    )
    return (texts + head).encode(), f"\r\n--{_BOUNDARY}--\r\n".encode()


@contextmanager
def highest(read: Callable[[], int], *, every: float = 0.02) -> Iterator[list[int]]:
    """A list whose one item is the highest reading while the block runs."""
    found, done = [read()], threading.Event()

    def watch() -> None:
        while not done.wait(every):
            found[0] = max(found[0], read())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()
        found[0] = max(found[0], read())
