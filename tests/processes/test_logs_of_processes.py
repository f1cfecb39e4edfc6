"""BATCH_LOG_FORMAT=json: every line of every process is one JSON object with its ids, and tells nothing it must not."""

import json
import signal

import pytest
import requests

from tests.lines import chat_line, jsonl
from tests.processes.system import MODEL, System
from tests.waiting import wait_until

pytestmark = pytest.mark.process

PROMPT, KEY = "Wolperting the candidate", "the-key-of-this-api"


def test_every_line_is_json_with_ids_and_without_prompts_answers_or_keys(spawned: System) -> None:
    spawned.settings = {"LOG_FORMAT": "json", "API_KEY": KEY}
    headers = {"authorization": f"Bearer {KEY}", "x-request-id": "the-web-apps-id"}
    worker = spawned.start_worker()
    wait_until(lambda: "waiting_for_the_database" in spawned.log.read_text(), what="the worker to wait")
    api, web = spawned.start_api(), spawned.start_web()
    form = {
        "files": {
            "file": (
                "in.jsonl",
                jsonl([chat_line("good", PROMPT), chat_line("bad", f"[[fail 400]] {PROMPT}")]),
            )
        }
    }
    made = requests.post(
        f"{spawned.url}/v1/batches", **form, data={"model": MODEL}, headers=headers, timeout=60
    )
    batch_id = made.json()["batch_id"]
    assert requests.get(f"{spawned.url}/health", timeout=60).status_code == 401
    url = f"{spawned.url}/v1/batches/{batch_id}"
    wait_until(
        lambda: requests.get(url, headers=headers, timeout=60).json()["status"] == "completed", what="its end"
    )
    assert PROMPT in requests.get(f"{url}/results", headers=headers, timeout=60).text
    for process in (api, worker, web):
        assert spawned.stop(process, signal.SIGTERM) in (0, -signal.SIGTERM)

    written = spawned.log.read_text()
    rows = [json.loads(line) for line in written.splitlines()]
    assert all({"at", "level", "action"} <= row.keys() for row in rows)
    by_action = {row["action"]: row for row in rows}
    assert (by_action["batch_accepted"]["batch_id"], by_action["batch_accepted"]["request_id"]) == (
        batch_id,
        "the-web-apps-id",
    )
    assert by_action["batch_claimed"]["batch_id"] == by_action["batch_ended"]["batch_id"] == batch_id
    assert by_action["request_refused"]["status_code"] == 401
    assert "pages_served" in by_action
    assert not [word for word in (PROMPT, "Wolperting", KEY) if word in written]
