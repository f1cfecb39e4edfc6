"""The whole system on the real engine: HTTP in, a worker killed in the middle, every answer out exactly once."""

import orjson
import psutil
import pytest

from batch_app.inference.engine_processes import OWNER_VARIABLE
from tests.lines import chat_line, chat_lines, jsonl
from tests.processes.system import System
from tests.waiting import wait_until

pytestmark = [pytest.mark.vllm, pytest.mark.process, pytest.mark.timeout(420)]

LINES = 120


def _engines() -> list[psutil.Process]:
    """Engine processes of any worker on this machine."""
    found = []
    for process in psutil.process_iter():
        try:
            if OWNER_VARIABLE in process.environ() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def test_a_killed_worker_on_real_vllm_loses_nothing_and_leaves_no_engine_behind(system: System) -> None:
    system.settings = {"ENGINE": "vllm", "WINDOW": "32"}
    system.start_api()
    worker = system.start_worker()
    lines = [
        {**line, "body": {**line["body"], "max_tokens": 32, "temperature": 0}}
        for line in chat_lines(LINES, "Say something about the number {}.")
    ]
    too_long = chat_line("too-long", "word " * 4000)
    batch_id = system.submit(jsonl([*lines, too_long]))
    wait_until(
        lambda: system.answered(batch_id) >= LINES // 4,
        what="a quarter of the answers",
        timeout=180,
        every=0.2,
    )
    answered = system.answered(batch_id)
    assert answered < LINES
    system.kill(worker)
    wait_until(lambda: not _engines(), what="the engine's processes to end", timeout=10)

    system.start_worker()
    batch = system.wait_for_end(batch_id, timeout=180)
    assert batch["status"] == "completed"
    assert batch["request_counts"] == {"total": LINES + 1, "completed": LINES, "failed": 1}
    assert batch["usage"]["output_tokens"] > LINES
    answers = [orjson.loads(line) for line in system.results(batch_id).splitlines()]
    assert sorted(answer["custom_id"] for answer in answers) == sorted(f"candidate-{i}" for i in range(LINES))
    assert all(answer["response"]["body"]["choices"][0]["message"]["content"] for answer in answers)
    [group] = system.get(f"/v1/batches/{batch_id}/errors")["data"]
    assert group["sample"]["custom_id"] == "too-long"
    assert system.get(f"/v1/batches/{batch_id}/dead_letters")["data"][0]["attempts"] == 1


def test_a_model_that_is_not_there_fails_its_batch_with_the_reason(system: System) -> None:
    system.settings = {"ENGINE": "vllm"}
    system.start_api()
    worker = system.start_worker()
    batch_id = system.submit(jsonl(chat_lines(2)), model="nobody/no-such-model")
    batch = system.wait_for_end(batch_id, timeout=180)
    assert batch["status"] == "failed"
    assert batch["errors"]["data"][0]["code"] == "model_load_failed"
    assert "nobody/no-such-model" in batch["errors"]["data"][0]["message"]
    assert worker.poll() is None
