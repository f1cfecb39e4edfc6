"""The real processes on a disk that fills up: work pauses, uploads are refused, and all goes on when there is room."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests

from tests.lines import chat_lines, jsonl
from tests.processes.system import System
from tests.small_disk import SmallDisk, small_disk
from tests.waiting import wait_until

pytestmark = pytest.mark.process

LINES = 2000
INPUT = jsonl(chat_lines(LINES, "{} " + "word " * 200))


@pytest.fixture
def disk(tmp_path: Path, system: System) -> Iterator[SmallDisk]:
    """The data folder is on it; what the processes print is not."""
    with small_disk(tmp_path / "disk") as disk:
        system.data_dir.symlink_to(disk.folder)
        disk.processes = lambda: [process.pid for process in system.processes]
        try:
            yield disk
        finally:
            system.stop_all()


def refusal(system: System, path: str, **form: Any) -> tuple[int, str]:
    answer = requests.post(f"{system.url}{path}", files={"file": ("a.jsonl", INPUT)}, data=form, timeout=60)
    return answer.status_code, answer.json()["error"]["code"]


def test_a_full_disk_pauses_work_refuses_uploads_and_says_so(system: System, disk: SmallDisk) -> None:
    system.settings = {"ECHO_LATENCY_MS": "100", "WINDOW": "40"}
    system.start_api()
    system.start_worker()
    batch_id = system.submit(INPUT)
    wait_until(lambda: system.answered(batch_id) >= LINES // 10, what="the first answers")
    disk.fill()
    told = "is full" if disk.is_mounted else "silent"  # a quota hides from who asks how much room there is
    wait_until(lambda: told in " ".join(system.health()["problems"]), what="the problem in words")
    stored = sorted(path.name for path in (system.data_dir / "files").iterdir())
    assert refusal(system, "/v1/batches", model="tiny") == (507, "disk_full")
    assert refusal(system, "/v1/files", purpose="batch") == (507, "disk_full")
    assert sorted(path.name for path in (system.data_dir / "files").iterdir()) == stored
    assert list((system.data_dir / "tmp").iterdir()) == []
    assert len(system.get("/v1/batches")["data"]) == 1
    stuck_at = system.answered(batch_id)
    assert stuck_at < LINES

    disk.make_room()
    assert system.wait_for_end(batch_id)["request_counts"] == {
        "total": LINES,
        "completed": LINES,
        "failed": 0,
    }
    ids = [orjson.loads(line)["custom_id"] for line in system.results(batch_id).splitlines()]
    assert sorted(ids) == sorted(f"candidate-{i}" for i in range(LINES))
    with closing(sqlite3.connect(system.data_dir / "batch.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    wait_until(lambda: system.health()["worker"]["trouble"] is None, what="the trouble to be over")
    assert all(process.poll() is None for process in system.processes)
    assert system.submit(INPUT)
