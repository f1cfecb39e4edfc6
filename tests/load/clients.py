"""Clients that do at random what clients do, against real processes, and note whatever should not be."""

import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests
from pysqlite3 import dbapi2

from tests.lines import chat_line, jsonl
from tests.processes.system import MODEL, System
from tests.waiting import wait_until

_ALLOWED = {200, 206, 304, 400, 404, 409, 429}  # a client may be too late, or too much
_SLOW_SECONDS = 20.0


@dataclass
class Report:
    """What came of it. `wrong` should be empty."""

    clients: int
    seconds: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0
    lines: int = 0
    wal_bytes: int = 0


class StuckReader:
    """Somebody who began to read the database and does not go on: a shell left open, say."""

    def __init__(self, system: System) -> None:
        path = str(system.data_dir / "batch.db")
        self._connection = dbapi2.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("BEGIN")
        self._connection.execute("SELECT count(*) FROM batches").fetchall()

    def close(self) -> None:
        self._connection.close()


def wal_bytes(system: System) -> int:
    wal = system.data_dir / "batch.db-wal"
    return wal.stat().st_size if wal.exists() else 0


@contextmanager
def stuck_download(system: System, path: str) -> Iterator[None]:
    """A client that reads how its answer begins and no more."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(30)
        client.connect(("127.0.0.1", system.api_port))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        yield


class Clients:
    """So many at once on one system, each with a history of its own."""

    def __init__(self, system: System, *, how_many: int, seed: int) -> None:
        self._system, self._how_many, self._seed = system, how_many, seed
        self._batches: list[str] = []
        self._lock = threading.Lock()
        self.report = Report(how_many)

    def run(self, seconds: float, *, least: Mapping[int, int] | None = None) -> Report:
        """So long, and until so many answers of each status were seen; afterwards every batch must end by itself."""
        self.report.seconds, until = seconds, time.monotonic() + seconds
        with ThreadPoolExecutor(self._how_many) as pool:
            clients = [
                pool.submit(self._live, self._seed + n, until, least or {}) for n in range(self._how_many)
            ]
            for client in clients:
                client.result()
        wait_until(self._is_idle, what="every batch to end", timeout=300, every=0.2)
        self._read_the_log()
        return self.report

    def _live(self, seed: int, until: float, least: Mapping[int, int]) -> None:
        chance = random.Random(seed)
        deeds = {
            self._submit: 2,
            self._poll: 8,
            self._list: 4,
            self._download: 4,
            self._look_at_rows: 3,
            self._look_at_answers: 2,
            self._cancel: 1,
            self._retry: 1,
            self._watch: 3,
        }
        with requests.Session() as session:
            while time.monotonic() < until or (self._misses(least) and time.monotonic() < until + 60):
                [deed] = chance.choices(list(deeds), list(deeds.values()))
                deed(session, chance)
                self._note_wal()
                time.sleep(chance.uniform(0, 0.1))

    def _misses(self, least: Mapping[int, int]) -> bool:
        return any(self.report.statuses[status] < count for status, count in least.items())

    def _call(
        self, session: requests.Session, method: str, path: str, **rest: object
    ) -> requests.Response | None:
        began = time.monotonic()
        try:
            answer = session.request(method, f"{self._system.url}{path}", timeout=60, **rest)  # type: ignore[arg-type]
        except requests.RequestException as error:
            with self._lock:
                self.report.wrong.append(f"{method} {path}: {error!r}")
            return None
        took = time.monotonic() - began
        with self._lock:
            self.report.calls[method] += 1
            self.report.statuses[answer.status_code] += 1
            self.report.slowest_seconds = max(self.report.slowest_seconds, took)
            if (
                answer.status_code not in _ALLOWED
                or "database is locked" in answer.text[:2000]
                or took > _SLOW_SECONDS
            ):
                self.report.wrong.append(
                    f"{method} {path}: {answer.status_code} after {took:.1f} s, {answer.text[:200]}"
                )
        return answer

    def _submit(self, session: requests.Session, chance: random.Random) -> None:
        count = chance.randint(1, 300)
        content = jsonl(
            chat_line(f"line-{i}", chance.choice(["some words", "[[fail 400]]", "[[flaky 1]]"]))
            for i in range(count)
        )
        form = {"files": {"file": ("in.jsonl", content)}, "data": {"model": MODEL}}
        answer = self._call(session, "POST", "/v1/batches", **form)
        if answer is not None and answer.ok:
            with self._lock:
                self._batches.append(answer.json()["batch_id"])
                self.report.lines += count

    def _some_batch(self, chance: random.Random) -> str | None:
        with self._lock:
            return chance.choice(self._batches[-12:]) if self._batches else None

    def _of_a_batch(self, session: requests.Session, chance: random.Random, method: str, rest: str) -> None:
        if batch_id := self._some_batch(chance):
            self._call(session, method, f"/v1/batches/{batch_id}{rest}")

    def _poll(self, session: requests.Session, chance: random.Random) -> None:
        self._of_a_batch(session, chance, "GET", "")

    def _download(self, session: requests.Session, chance: random.Random) -> None:
        self._of_a_batch(session, chance, "GET", f"/results?offset={chance.choice([0, 0, 10])}")

    def _look_at_rows(self, session: requests.Session, chance: random.Random) -> None:
        self._of_a_batch(session, chance, "GET", chance.choice(["/requests", "/errors", "/dead_letters"]))

    def _look_at_answers(self, session: requests.Session, chance: random.Random) -> None:
        self._of_a_batch(
            session, chance, "GET", chance.choice(["/answers?sort=-answer", "/export", "/fields"])
        )

    def _cancel(self, session: requests.Session, chance: random.Random) -> None:
        self._of_a_batch(session, chance, "POST", "/cancel")

    def _retry(self, session: requests.Session, chance: random.Random) -> None:
        self._of_a_batch(session, chance, "POST", "/retry")

    def _list(self, session: requests.Session, chance: random.Random) -> None:
        self._call(session, "GET", chance.choice(["/v1/batches", "/v1/files", "/v1/batches?status=active"]))

    def _watch(self, session: requests.Session, chance: random.Random) -> None:
        self._call(session, "GET", chance.choice(["/health", "/metrics", "/v1/models"]))

    def _note_wal(self) -> None:
        self.report.wal_bytes = max(self.report.wal_bytes, wal_bytes(self._system))

    def _is_idle(self) -> bool:
        return bool(self._system.get("/v1/batches?limit=1")["counts"]["active"] == 0)

    def _read_the_log(self) -> None:
        """What the processes said of it."""
        told = self._system.log.read_text(errors="replace")
        for word in ("database is locked", "Traceback"):
            if word in told:
                where = told.index(word)
                excerpt = told[max(where - 300, 0) : where + 9000]
                self.report.wrong.append(f"the log has {told.count(word)} times {word!r}: …{excerpt}…")
