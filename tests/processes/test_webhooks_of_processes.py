"""Webhooks from the real processes: a dead receiver delays nobody, and a killed API tells what it owes later."""

import json
import time

import pytest

from batch_app.api import webhook_sender
from tests.lines import chat_lines, jsonl
from tests.processes.system import System
from tests.receiver import SECRET, receiving
from tests.waiting import wait_until

pytestmark = pytest.mark.process


def test_a_dead_receiver_delays_neither_batches_nor_other_receivers(system: System) -> None:
    with receiving(*[0] * 100) as dead, receiving() as alive:
        system.settings = {"WEBHOOK_URLS": f"{dead.url},{alive.url}", "WEBHOOK_SECRET": SECRET}
        system.start_api()
        system.start_worker()
        began = time.monotonic()
        for n in range(1, 4):
            batch_id = system.submit(jsonl(chat_lines(20)))
            assert system.wait_for_end(batch_id)["status"] == "completed"
            wait_until(lambda n=n: len(alive.calls) == n, what="the other receiver's event")
        wait_until(lambda: dead.calls, what="the dead one to be called")
        calls = len(dead.calls)
        waits = (time.monotonic() - began) // webhook_sender._TIMEOUT_SECONDS
        assert calls <= 1 + waits  # one at a time, each until its time is up
        assert json.loads(alive.calls[-1][1])["data"]["id"] == batch_id
        wait_until(
            lambda: len(system.get("/v1/webhook_deliveries?status=pending")["data"]) == 3,
            what="the note of the last event's arrival",
        )


def test_an_api_killed_before_the_receiver_came_back_tells_it_afterwards(system: System) -> None:
    with receiving(503) as receiver:
        system.settings = {"WEBHOOK_URLS": receiver.url, "WEBHOOK_SECRET": SECRET}
        api = system.start_api()
        worker = system.start_worker()
        batch_id = system.submit(jsonl(chat_lines(20)))
        wait_until(lambda: len(receiver.calls) >= 1, what="the first attempt")
        wait_until(
            lambda: system.get("/v1/webhook_deliveries")["data"][0]["attempts"] >= 1, what="the note of it"
        )
        system.kill(api)
        system.stop(worker)
        system.start_api()
        wait_until(lambda: len(receiver.calls) >= 2, what="the second attempt")
        wait_until(
            lambda: system.get("/v1/webhook_deliveries")["data"][0]["status"] == "delivered", what="its note"
        )
    assert len(set(receiver.event_ids())) == 1
    assert json.loads(receiver.calls[1][1])["data"]["id"] == batch_id
