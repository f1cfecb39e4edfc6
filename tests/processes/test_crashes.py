"""kill -9 of the real processes, at any moment: every line is answered exactly once all the same."""

import random
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing

import orjson
import pytest
import requests

from tests.lines import chat_lines, jsonl
from tests.processes.system import MODEL, System
from tests.waiting import wait_until

pytestmark = pytest.mark.process

LINES = 2000


def _custom_ids(results: bytes) -> list[str]:
    return [orjson.loads(line)["custom_id"] for line in results.splitlines()]


def _assert_exactly_once(system: System, batch_id: str) -> None:
    batch = system.wait_for_end(batch_id)
    assert batch["status"] == "completed"
    assert batch["request_counts"] == {"total": LINES, "completed": LINES, "failed": 0}
    assert sorted(_custom_ids(system.results(batch_id))) == sorted(f"candidate-{i}" for i in range(LINES))
    with closing(sqlite3.connect(system.data_dir / "batch.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_worker_killed_halfway_costs_nothing_but_its_window(system: System) -> None:
    journal = system.data_dir.parent / "journal"
    system.settings = {"ECHO_LATENCY_MS": "50", "WINDOW": "50", "ECHO_JOURNAL": str(journal)}
    system.start_api()
    worker = system.start_worker()
    batch_id = system.submit(jsonl(chat_lines(LINES)))
    wait_until(lambda: system.answered(batch_id) >= LINES // 2, what="half the lines to be answered")
    system.kill(worker)
    system.start_worker()
    _assert_exactly_once(system, batch_id)
    assert len(journal.read_text().splitlines()) <= LINES + 50


def test_workers_killed_at_random_moments_lose_and_double_nothing(system: System) -> None:
    journal = system.data_dir.parent / "journal"
    system.settings = {"ECHO_LATENCY_MS": "40", "WINDOW": "25", "ECHO_JOURNAL": str(journal)}
    system.start_api()
    batch_id = system.submit(jsonl(chat_lines(LINES)))
    chance, kills = random.Random(4080), 8
    for _ in range(kills):
        before = min(system.answered(batch_id), LINES - 1)
        worker = system.start_worker()
        wait_until(lambda: system.answered(batch_id) > before, what="the new worker's first answers")  # noqa: B023
        time.sleep(chance.uniform(0, 0.3))  # anywhere between two writes
        system.kill(worker)
    system.start_worker()
    _assert_exactly_once(system, batch_id)
    asked = Counter(journal.read_text().splitlines())
    assert sum(asked.values()) <= LINES + 25 * kills


def test_a_worker_that_slept_past_its_lease_publishes_nothing_twice(system: System) -> None:
    system.settings = {
        "ECHO_LATENCY_MS": "50",
        "WINDOW": "25",
        "HEARTBEAT_SECONDS": "0.5",
        "LATE_SECONDS": "1",
        "LOST_SECONDS": "2",
    }
    system.start_api()
    first = system.start_worker()
    batch_id = system.submit(jsonl(chat_lines(LINES)))
    wait_until(lambda: system.answered(batch_id) >= 200, what="the first answers")
    system.stop_outside_a_write(first)
    stopped_at = system.answered(batch_id)
    system.start_worker()
    wait_until(lambda: system.answered(batch_id) > stopped_at + 100, what="the second worker to take over")
    first.send_signal(signal.SIGCONT)
    _assert_exactly_once(system, batch_id)
    assert first.poll() is None


def test_a_killed_worker_that_nobody_has_waited_for_is_not_taken_for_alive(spawned: System) -> None:
    spawned.settings = {"ECHO_LATENCY_MS": "50", "WINDOW": "50", "LOST_SECONDS": "3600"}
    spawned.start_api()
    worker = spawned.start_worker()
    batch_id = spawned.submit(jsonl(chat_lines(300)))
    wait_until(lambda: spawned.answered(batch_id) >= 50, what="the first answers")
    worker.send_signal(signal.SIGKILL)  # and no wait: it stays behind as a zombie
    spawned.start_worker()
    assert spawned.wait_for_end(batch_id)["request_counts"]["completed"] == 300


def test_an_orderly_stop_ends_with_status_0_and_the_next_worker_goes_on(system: System) -> None:
    system.settings = {"ECHO_LATENCY_MS": "50", "WINDOW": "50"}
    system.start_api()
    worker = system.start_worker()
    batch_id = system.submit(jsonl(chat_lines(LINES)))
    wait_until(lambda: system.answered(batch_id) >= 200, what="the first answers")
    assert system.stop(worker) == 0
    assert system.health()["worker"]["status"] == "none"
    assert system.batch(batch_id)["progress"]["running"] == 0
    system.start_worker()
    _assert_exactly_once(system, batch_id)


def test_the_worker_goes_on_while_the_api_is_dead(system: System) -> None:
    system.settings = {"ECHO_LATENCY_MS": "20", "WINDOW": "50"}
    api = system.start_api()
    system.start_worker()
    batch_id = system.submit(jsonl(chat_lines(LINES)))
    system.kill(api)
    with closing(sqlite3.connect(system.data_dir / "batch.db")) as connection:
        status = "SELECT status FROM batches"
        wait_until(
            lambda: connection.execute(status).fetchone() == ("completed",), what="the batch to complete"
        )
    system.start_api()
    _assert_exactly_once(system, batch_id)


def test_an_api_killed_in_the_middle_of_an_upload_leaves_nothing_half_stored(system: System) -> None:
    api = system.start_api()

    def endless() -> object:
        yield b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
        yield jsonl(chat_lines(20_000))
        api.send_signal(signal.SIGKILL)
        for _ in range(1000):
            yield jsonl(chat_lines(100))

    with pytest.raises(requests.ConnectionError):
        requests.post(
            f"{system.url}/v1/batches",
            data=endless(),
            headers={"content-type": "multipart/form-data; boundary=edge"},
            timeout=30,
        )
    api.wait(timeout=120)
    system.start_api()
    assert system.get("/v1/batches")["data"] == []
    assert list((system.data_dir / "files").iterdir()) == []
    assert system.submit(jsonl(chat_lines(3)))


def test_a_worker_started_first_waits_for_the_api_to_make_the_database(spawned: System) -> None:
    spawned.start_worker()
    wait_until(lambda: "Waiting for the database" in spawned.log.read_text(), what="the worker to say so")
    spawned.start_api()
    batch_id = spawned.submit(jsonl(chat_lines(3)), model=MODEL)
    assert spawned.wait_for_end(batch_id)["status"] == "completed"
    first_lines = [line for line in spawned.log.read_text().splitlines() if "INFO" not in line]
    assert first_lines[0] == "Worker started. Waiting for batch jobs..."
    assert first_lines[1].startswith("CUDA available: ")
    assert first_lines[2].startswith("GPU: ")
