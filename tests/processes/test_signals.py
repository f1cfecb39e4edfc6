"""SIGTERM and Ctrl-C: whatever the worker is doing, it ends in order with status 0, and nobody has to wait for it."""

import signal
import time

import pytest

from tests.lines import chat_lines, jsonl
from tests.processes.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_waits_for_its_database_ends_in_order(system: System, number: signal.Signals) -> None:
    worker = system.start_worker()
    wait_until(lambda: "Waiting for the database" in system.log.read_text(), what="the worker to wait")
    assert system.stop(worker, number) == 0
    assert "Traceback" not in system.log.read_text()


def test_an_idle_worker_ends_in_order_at_ctrl_c(system: System) -> None:
    system.start_api()
    worker = system.start_worker()
    system.wait_for_worker()
    assert system.stop(worker, signal.SIGINT) == 0
    assert system.health()["worker"]["status"] == "none"
    assert "Traceback" not in system.log.read_text()


def test_a_second_ctrl_c_waits_for_no_request(system: System) -> None:
    system.settings = {"ECHO_LATENCY_MS": "600000", "WINDOW": "5", "GRACE_SECONDS": "600"}
    system.start_api()
    worker = system.start_worker()
    batch_id = system.submit(jsonl(chat_lines(20)))
    wait_until(lambda: system.batch(batch_id)["progress"]["running"], what="requests in flight")
    worker.send_signal(signal.SIGINT)
    wait_until(lambda: system.health()["worker"]["status"] == "draining", what="the worker to drain")
    assert worker.poll() is None
    again_at = time.monotonic()
    assert system.stop(worker, signal.SIGINT) == 0
    assert time.monotonic() - again_at < 20
    assert system.batch(batch_id)["progress"]["running"] == 0
    assert system.health()["worker"]["status"] == "none"
    assert "Traceback" not in system.log.read_text()
