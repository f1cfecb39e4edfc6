"""SIGTERM and Ctrl-C: whatever the worker is doing, it ends in order with status 0, and nobody has to wait for it."""

import signal
import time

import pytest

from tests.lines import chat_lines, jsonl
from tests.processes.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_waits_for_its_database_ends_in_order(spawned: System, number: signal.Signals) -> None:
    worker = spawned.start_worker()
    wait_until(lambda: "Waiting for the database" in spawned.log.read_text(), what="the worker to wait")
    assert spawned.stop(worker, number) == 0
    assert "Traceback" not in spawned.log.read_text()


def test_an_idle_worker_ends_in_order_at_ctrl_c(spawned: System) -> None:
    spawned.start_api()
    worker = spawned.start_worker()
    spawned.wait_for_worker()
    assert spawned.stop(worker, signal.SIGINT) == 0
    assert spawned.health()["worker"]["status"] == "none"
    assert "Traceback" not in spawned.log.read_text()


def test_a_second_ctrl_c_waits_for_no_request(spawned: System) -> None:
    spawned.settings = {"ECHO_LATENCY_MS": "600000", "WINDOW": "5", "GRACE_SECONDS": "600"}
    spawned.start_api()
    worker = spawned.start_worker()
    batch_id = spawned.submit(jsonl(chat_lines(20)))
    wait_until(lambda: spawned.batch(batch_id)["progress"]["running"], what="requests in flight")
    worker.send_signal(signal.SIGINT)
    wait_until(lambda: spawned.health()["worker"]["status"] == "draining", what="the worker to drain")
    assert worker.poll() is None
    again_at = time.monotonic()
    assert spawned.stop(worker, signal.SIGINT) == 0
    assert time.monotonic() - again_at < 20
    assert spawned.batch(batch_id)["progress"]["running"] == 0
    assert spawned.health()["worker"]["status"] == "none"
    assert "Traceback" not in spawned.log.read_text()
