"""What the heartbeat says of the worker, and that nothing ends it."""

import pytest

from batch_app.database import Database
from batch_app.processing.heartbeat import Heartbeat, WorkerStatus
from batch_app.store import workers
from batch_app.store.workers import Worker, WorkerReport
from tests.factories import NOW, start_worker
from tests.no_thread import no_thread
from tests.waiting import wait_until


def latest(database: Database) -> Worker:
    worker = workers.latest_worker(database)
    assert worker is not None
    return worker


@pytest.mark.parametrize("step", [10, -3600, 0.001, 3600], ids=["right", "back", "back a little", "forward"])
def test_rates_are_right_however_the_clock_was_set_meanwhile(database: Database, step: float) -> None:
    heartbeat = Heartbeat(database, start_worker(database), interval_seconds=10)
    heartbeat.beat(NOW, steady_now=500, with_sample=True)
    heartbeat.tell(WorkerStatus(WorkerReport("processing"), tokens_total=100, answers_total=20))
    heartbeat.beat(NOW + step, steady_now=510, with_sample=True)
    assert latest(database).tokens_per_second == 10
    samples = {sample.at: sample for sample in workers.list_samples(database, since=0)}
    assert samples[NOW + step].tokens_per_second == 10
    assert samples[NOW + step].requests_per_second == 2


def test_a_heartbeat_between_two_samples_tells_the_rate_since_the_last_one(database: Database) -> None:
    heartbeat = Heartbeat(database, start_worker(database), interval_seconds=10)
    heartbeat.beat(NOW, steady_now=500, with_sample=True)
    heartbeat.tell(WorkerStatus(WorkerReport("processing"), tokens_total=100))
    heartbeat.beat(NOW + 5, steady_now=505, with_sample=False)
    assert latest(database).tokens_per_second == 20
    heartbeat.beat(NOW + 10, steady_now=510, with_sample=True)
    assert latest(database).tokens_per_second == 10
    heartbeat.beat(NOW + 10, steady_now=510, with_sample=False)
    assert latest(database).tokens_per_second == 0


def test_a_heartbeat_that_goes_wrong_is_not_the_last(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = iter([True])

    def read(**_facts: object) -> None:
        if next(wrong, False):
            no_thread()

    monkeypatch.setattr("batch_app.processing.heartbeat.read_gpu", read)
    heartbeat = Heartbeat(database, start_worker(database), interval_seconds=0.05)
    heartbeat.start()
    try:
        wait_until(lambda: latest(database).heartbeat_at > NOW, what="a heartbeat after the one that failed")
    finally:
        heartbeat.stop()
    assert next(wrong, None) is None
