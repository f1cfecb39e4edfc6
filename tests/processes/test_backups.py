"""A backup of the running system, restored elsewhere, is a system of its own that loses and doubles nothing."""

import time
from pathlib import Path

import orjson
import pytest

from batch_app.operations.backup import make_backup
from batch_app.operations.restore import restore
from batch_app.settings import Settings
from tests.lines import chat_lines, jsonl
from tests.processes.forked import ForkedSystem, Nursery
from tests.processes.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.process

LINES = 1500


def _custom_ids(system: System, batch_id: str) -> list[str]:
    return sorted(orjson.loads(line)["custom_id"] for line in system.results(batch_id).splitlines())


def test_a_backup_of_the_working_system_is_restored_and_goes_on_by_itself(
    system: System, nursery: Nursery, tmp_path: Path
) -> None:
    system.settings = {"ECHO_LATENCY_MS": "200", "WINDOW": "20"}  # 15 s of work
    system.start_api()
    system.start_worker()
    finished = system.submit(jsonl(chat_lines(20)))
    system.wait_for_end(finished)
    unfinished = system.submit(jsonl(chat_lines(LINES)))
    wait_until(lambda: system.answered(unfinished) >= 100, what="some answers")
    made = make_backup(
        Settings(data_dir=system.data_dir), to=tmp_path / "backups", keep=None, now=time.time()
    )

    restored = ForkedSystem(tmp_path / "elsewhere" / "data", nursery=nursery)
    try:
        assert restore(Settings(data_dir=restored.data_dir), backup=made.path, now=time.time()) == []
        restored.start_api()
        had = restored.batch(unfinished)
        assert had["status"] == "in_progress"
        assert 100 <= had["request_counts"]["completed"] < LINES
        restored.start_worker()
        assert restored.wait_for_end(unfinished)["status"] == "completed"
        for batch_id, lines in ((finished, 20), (unfinished, LINES)):
            assert _custom_ids(restored, batch_id) == sorted(f"candidate-{i}" for i in range(lines))
        assert restored.results(finished) == system.results(finished)
        assert restored.results(unfinished)[:10_000] == system.results(unfinished)[:10_000]
        assert system.batch(unfinished)["status"] in ("in_progress", "completed")
    finally:
        restored.stop_all()
