"""SIGKILL, SIGTERM, and SIGSTOP past the lease, at five moments of a worker's work and two of an upload.

A failpoint makes the process stand still at the very moment; then it gets its signal. An engine's process is killed
and stopped in `tests/vllm`, and dies at the worker's moments in `tests/worker/test_engine_trouble.py`; everything at
random moments is `make torture`.
"""

import signal
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import update

from batch_app.store import tables, workers
from tests.lines import chat_lines, jsonl
from tests.processes.forked import Forked, ForkedSystem, Nursery
from tests.processes.invariants import examine_echoes, examine_folder, statuses
from tests.processes.scenarios import finish, prepared, submit, wait_for_ends
from tests.processes.system import MODEL
from tests.waiting import wait_until

pytestmark = pytest.mark.process

MOMENTS = {
    "before the claim": None,
    "with lines in flight": "record.committed:stop:2",
    "between log and ledger": "log.synced:stop:2",
    "in finalizing": "begin_finalizing.committed:stop",
    "between a published file and its name": "file.published:stop",
}
SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP]
UPLOAD_MOMENTS = {
    "while a file is written": "file.written:stop",
    "once it is accepted": "accept.committed:stop",
}
LINES = chat_lines(30)


@pytest.fixture(scope="module")
def outcomes(
    nursery: Nursery, migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[Any, ...], Future[None]]:
    """Of all the matrix, side by side: most of a process's time is waiting. Before the first test, for the reason that
    stands in test_failpoints.py."""

    def system() -> ForkedSystem:
        return ForkedSystem(tmp_path_factory.mktemp("signalled") / "data", nursery=nursery)

    with ThreadPoolExecutor(8) as pool:
        workers = {
            cell: pool.submit(signal_a_worker, system(), *cell, migrated)
            for cell in product(MOMENTS, SIGNALS)
        }
        apis = {
            cell: pool.submit(signal_an_api, system(), *cell) for cell in product(UPLOAD_MOMENTS, SIGNALS)
        }
    return {**workers, **apis}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_worker_that_gets_a_signal_there_loses_and_doubles_nothing(
    outcomes: dict[tuple[Any, ...], Future[None]], moment: str, number: signal.Signals
) -> None:
    outcomes[moment, number].result()


@pytest.mark.parametrize("moment", UPLOAD_MOMENTS)
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_batch_whose_api_gets_a_signal_there_is_accepted_once(
    outcomes: dict[tuple[Any, ...], Future[None]], moment: str, number: signal.Signals
) -> None:
    outcomes[moment, number].result()


def signal_a_worker(system: ForkedSystem, moment: str, number: signal.Signals, migrated: Path) -> None:
    system.settings = {"WINDOW": "4", "ECHO_LATENCY_MS": "20", "HEARTBEAT_SECONDS": "10"}
    system.failpoint = MOMENTS[moment]
    with closing(prepared(system, migrated)) as database:
        first: Forked = system.start_worker()  # type: ignore[assignment]
        if MOMENTS[moment] is None:
            wait_until(lambda: workers.list_samples(database, since=0), what="the end of a heartbeat")
            system.stop_outside_a_write(first)  # type: ignore[arg-type]
        batch_id = submit(system, database, LINES)
        wait_until(lambda: first.stands_still, what=f"the worker to stand still {moment}")
        if number == signal.SIGSTOP:
            with database.write() as connection:  # so much later
                connection.execute(update(tables.workers).values(heartbeat_at=0.0))
            outlive(system, first, has_a_claim=MOMENTS[moment] is not None)
        else:
            first.send_signal(number)
            first.send_signal(signal.SIGCONT)
            assert first.wait() == (0 if number == signal.SIGTERM else -signal.SIGKILL)
            finish(system)
    assert statuses(system.data_dir) == {batch_id: "completed"}
    assert not examine_echoes(system.data_dir, batch_id, LINES)
    assert not examine_folder(system.data_dir)


def outlive(system: ForkedSystem, late: Forked, *, has_a_claim: bool) -> None:
    """A second worker takes over and ends the batch; then the first one wakes up in the middle of what it was doing."""
    system.failpoint = None
    second = system.start_worker()
    wait_for_ends(system)
    assert "worker_lost" in system.log.read_text()
    late.send_signal(signal.SIGCONT)
    if has_a_claim:
        words = ("claim_lost", "logs_were_gone")
        wait_until(
            lambda: any(word in system.log.read_text() for word in words), what="the late worker to notice"
        )
    assert system.stop(late) == system.stop(second) == 0  # type: ignore[arg-type]


def signal_an_api(system: ForkedSystem, moment: str, number: signal.Signals) -> None:
    system.failpoint = UPLOAD_MOMENTS[moment]
    api: Forked = system.start_api()  # type: ignore[assignment]
    with ThreadPoolExecutor(1) as client:
        first = client.submit(post, system)
        wait_until(lambda: api.stands_still, what=f"the API to stand still {moment}")
        if number != signal.SIGSTOP:
            api.send_signal(number)
        api.send_signal(signal.SIGCONT)
        answer = first.exception() or first.result()
    system.failpoint = None
    if number != signal.SIGSTOP:
        api.wait()
        system.start_api()
    assert isinstance(answer, str) == (number != signal.SIGKILL)
    batch_id = post(system)
    assert answer == batch_id or number == signal.SIGKILL
    assert list(statuses(system.data_dir)) == [batch_id]
    system.stop_all()
    finish(system)
    assert not examine_echoes(system.data_dir, batch_id, LINES)
    assert not examine_folder(system.data_dir)


def post(system: ForkedSystem) -> str:
    answer = requests.post(
        f"{system.url}/v1/batches",
        headers={"idempotency-key": "once"},
        files={"file": ("input.jsonl", jsonl(LINES))},
        data={"model": MODEL},
        timeout=60,
    )
    answer.raise_for_status()
    return str(answer.json()["batch_id"])
