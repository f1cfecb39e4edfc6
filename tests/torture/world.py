"""One system that is tormented: its processes, what was sent to it, and what must come out of it."""

import random
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import requests
from pysqlite3 import dbapi2

from tests.lines import chat_line, chat_lines, jsonl
from tests.processes.forked import ForkedSystem
from tests.processes.invariants import Findings, examine_echoes, examine_folder, statuses
from tests.processes.system import MODEL
from tests.waiting import wait_until

WINDOW = 8
RECOVERY_SECONDS = 30  # R4, without a model to load
LOST_SECONDS = 2.0
SETTINGS = {
    "WINDOW": str(WINDOW),
    "CHUNK_SIZE": "20",
    "ECHO_LATENCY_MS": "40",
    "HEARTBEAT_SECONDS": "0.3",
    "LATE_SECONDS": "1",
    "LOST_SECONDS": str(LOST_SECONDS),
    "GRACE_SECONDS": "0.2",
    "MAX_ACTIVE_BATCHES": "100",
}
_END_SECONDS = 120
_FINAL = {"completed", "cancelled", "expired", "failed"}
_CUT_OFF = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError, requests.Timeout)


class World:
    """`sent` has the batches that were accepted and not examined yet, with their lines."""

    def __init__(self, system: ForkedSystem, chance: random.Random) -> None:
        self.system, self.chance = system, chance
        self.sent: dict[str, list[dict[str, Any]]] = {}
        self.damage: list[str] = []
        self.journal = system.data_dir.parent / "journal"
        system.settings = {**SETTINGS, "ECHO_JOURNAL": str(self.journal)}
        self.api = system.start_api()
        self.worker = system.start_worker()

    def start_worker(self, *, failpoint: str | None = None) -> None:
        self.system.failpoint = failpoint
        self.worker = self.system.start_worker()
        self.system.failpoint = None

    def start_api(self, *, failpoint: str | None = None) -> None:
        self.system.failpoint = failpoint
        self.api = self.system.start_api()
        self.system.failpoint = None

    def heal(self) -> None:
        """Whatever was done: a worker and an API live."""
        if self.worker.poll() is not None:
            self.start_worker()
        if self.api.poll() is not None:
            self.start_api()

    def submit(self, count: int) -> None:
        lines = [*chat_lines(count - 1), chat_line("refused", "[[fail 400]]")]
        self._note_accepted(self.post(lines, secrets.token_hex(8)), lines)

    def submit_while(self, deed: Any, count: int) -> None:
        """A client that is cut off and sends the same again, under the same key, once the API is back."""
        lines, key = chat_lines(count), secrets.token_hex(8)
        with ThreadPoolExecutor(1) as client:
            first = client.submit(self._try_to_post, lines, key)
            deed()
            answer = first.result()
        if answer is None:  # cut off, perhaps a moment before the process is gone
            self.api.wait()
        self.heal()
        batch_id = self.post(lines, key)
        if answer is not None and answer != batch_id:
            self.damage.append(f"{answer} was accepted and is gone; {batch_id} came instead")
        self._note_accepted(batch_id, lines)

    def post(self, lines: list[dict[str, Any]], key: str) -> str:
        answer = requests.post(
            f"{self.system.url}/v1/batches",
            headers={"idempotency-key": key},
            files={"file": ("input.jsonl", jsonl(lines))},
            data={"model": MODEL},
            timeout=60,
        )
        answer.raise_for_status()
        return str(answer.json()["batch_id"])

    def _try_to_post(self, lines: list[dict[str, Any]], key: str) -> str | None:
        with suppress(*_CUT_OFF):
            return self.post(lines, key)
        return None

    def _note_accepted(self, batch_id: str, lines: list[dict[str, Any]]) -> None:
        self.sent[batch_id] = lines

    def pause(self, most: float) -> None:
        """Any moment is as good as any other: that is the point."""
        time.sleep(self.chance.uniform(0, most))

    def answered(self) -> int:
        """Lines that have their end, of all batches."""
        connection = dbapi2.connect(str(self.system.data_dir / "batch.db"), timeout=30)
        try:
            query = "SELECT count(*) FROM requests WHERE finished_at IS NOT NULL"
            return int(connection.execute(query).fetchone()[0])
        finally:
            connection.close()

    def has_ended(self) -> bool:
        found = statuses(self.system.data_dir)
        return all(found.get(batch_id) in _FINAL for batch_id in self.sent)

    def seconds_to_resume(self) -> float:
        """From now, when what had ended has just been started again, to the next line that gets its end."""
        before, began = self.answered(), time.monotonic()
        wait_until(
            lambda: self.answered() > before or self.has_ended(), what="work to resume", timeout=_END_SECONDS
        )
        return time.monotonic() - began

    def examine(self) -> Findings:
        """What is true once every batch has ended; afterwards the world is as good as new."""
        wait_until(self.has_ended, what="every batch to end", timeout=_END_SECONDS, every=0.1)
        found = examine_folder(self.system.data_dir)
        for batch_id, lines in self.sent.items():
            found.add(examine_echoes(self.system.data_dir, batch_id, lines))
        found.damage += self.damage
        self.sent, self.damage = {}, []
        return found

    def asked_twice(self) -> int:
        """How often the engine was asked what it had been asked before, since the last call."""
        asked = self.journal.read_text().splitlines() if self.journal.exists() else []
        self.journal.unlink(missing_ok=True)
        return len(asked) - len(set(asked))
