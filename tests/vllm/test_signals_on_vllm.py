"""SIGTERM and Ctrl-C while real vLLM loads a model: the worker does not wait for it, and leaves nothing behind."""

import signal
import time
from collections.abc import Callable

import pytest

from tests.lines import chat_lines, jsonl
from tests.processes.system import System
from tests.waiting import wait_until

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]

ENDS_WITHIN = 20.0  # seconds, on a busy machine too; the rest of the load takes longer


def imports_vllm(system: System) -> bool:
    return bool(system.health()["worker"]["status"] == "loading")


def has_an_engine_process(system: System) -> bool:
    return bool(system.engines())


@pytest.mark.parametrize(
    ("reached", "number"), [(imports_vllm, signal.SIGINT), (has_an_engine_process, signal.SIGTERM)]
)
def test_a_worker_whose_model_is_being_loaded_ends_in_order_and_the_batch_waits_for_the_next(
    spawned: System, reached: Callable[[System], bool], number: signal.Signals
) -> None:
    spawned.settings = {"ENGINE": "vllm"}
    spawned.start_api()
    batch_id = spawned.submit(jsonl(chat_lines(3)))
    worker = spawned.start_worker()
    wait_until(lambda: reached(spawned), what="the load", timeout=400, every=0.1)
    assert spawned.batch(batch_id)["status"] == "pending"
    began = time.monotonic()
    assert spawned.stop(worker, number) == 0
    assert time.monotonic() - began < ENDS_WITHIN
    assert spawned.engines() == []
    assert "Traceback" not in spawned.log.read_text()
    assert "model_loaded" not in spawned.log.read_text()
    assert spawned.batch(batch_id)["status"] == "pending"
    spawned.settings = {}  # whichever engine comes next
    spawned.start_worker()
    assert spawned.wait_for_end(batch_id)["status"] == "completed"
