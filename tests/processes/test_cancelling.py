"""A cancellation stops real work within seconds and costs no finished answer."""

import pytest
import requests

from tests.lines import chat_lines, jsonl
from tests.processes.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.process

WINDOW, LATENCY_SECONDS, FED_SECONDS = 4, 0.25, 5


def test_after_a_cancel_no_line_is_fed_for_longer_than_five_seconds_and_finished_ones_are_kept(
    system: System,
) -> None:
    journal = system.data_dir.parent / "journal"
    latency = str(round(LATENCY_SECONDS * 1000))
    system.settings = {"ECHO_LATENCY_MS": latency, "WINDOW": str(WINDOW), "ECHO_JOURNAL": str(journal)}
    system.start_api()
    system.start_worker()
    batch_id = system.submit(jsonl(chat_lines(1000)))
    wait_until(lambda: system.answered(batch_id) >= 8, what="the first answers")
    kept = system.results(batch_id)
    requests.delete(f"{system.url}/v1/batches/{batch_id}", timeout=30).raise_for_status()
    fed = len(journal.read_text().splitlines())
    assert system.wait_for_end(batch_id)["status"] == "cancelled"
    fed_since = len(journal.read_text().splitlines()) - fed
    assert fed_since <= FED_SECONDS / LATENCY_SECONDS * WINDOW  # what that many seconds have time for
    assert system.results(batch_id).startswith(kept)
    assert system.answered(batch_id) < 500
