"""Workers say that they live, and samples are kept for a week."""

from batch_app.database import Database
from batch_app.store import workers
from batch_app.store.workers import SAMPLES_KEPT_SECONDS, Sample, Worker, WorkerReport
from tests.factories import NOW, accept, claim, lose, start_worker


def latest(database: Database) -> Worker:
    worker = workers.latest_worker(database)
    assert worker is not None
    return worker


def test_a_worker_that_starts_is_idle_and_alive(database: Database) -> None:
    assert workers.latest_worker(database) is None
    start_worker(database, worker_id="w", host="box", pid=7, process_started_at=5.0)
    worker = latest(database)
    assert (worker.id, worker.host, worker.pid, worker.process_started_at) == ("w", "box", 7, 5.0)
    assert (worker.state, worker.heartbeat_at, worker.stopped_at) == ("idle", NOW, None)
    assert workers.living_workers(database) == [worker]


def test_a_heartbeat_says_everything_about_its_worker(database: Database) -> None:
    worker_id = start_worker(database)
    report = WorkerReport(
        "processing",
        "tiny",
        ["batch_a"],
        5,
        12.5,
        0.25,
        2,
        3 * 2**30,
        "It died.",
        NOW + 12,
        {"name": "RTX 4080"},
    )
    assert workers.beat(database, worker_id=worker_id, report=report, now=NOW + 10)
    worker = latest(database)
    assert worker.heartbeat_at == NOW + 10
    said = {name: getattr(worker, name) for name in WorkerReport.__dataclass_fields__}
    assert WorkerReport(**said) == report


def test_a_heartbeat_after_being_given_up_on_is_refused_until_the_worker_is_revived(
    database: Database,
) -> None:
    held = claim(database, accept(database))
    lose(database, held)
    report = WorkerReport("processing")
    assert not workers.beat(database, worker_id=held.worker_id, report=report, now=NOW + 1)
    assert latest(database).state == "lost"
    workers.revive_worker(database, worker_id=held.worker_id, now=NOW + 2)
    assert workers.beat(database, worker_id=held.worker_id, report=report, now=NOW + 3)
    assert latest(database).stopped_at is None


def test_a_stopped_worker_is_known_to_have_stopped(database: Database) -> None:
    worker_id = start_worker(database)
    report = WorkerReport("processing", requests_in_flight=5, tokens_per_second=3.0)
    workers.beat(database, worker_id=worker_id, report=report, now=NOW)
    workers.stop_worker(database, worker_id=worker_id, now=NOW + 1)
    worker = latest(database)
    assert (worker.state, worker.stopped_at) == ("stopped", NOW + 1)
    assert (worker.requests_in_flight, worker.tokens_per_second) == (0, 0.0)
    assert workers.living_workers(database) == []


def test_the_latest_worker_is_a_living_one_where_there_is_one(database: Database) -> None:
    living, stopped = start_worker(database), start_worker(database, now=NOW + 50)
    workers.stop_worker(database, worker_id=stopped, now=NOW + 60)
    assert latest(database).id == living
    workers.stop_worker(database, worker_id=living, now=NOW + 70)
    assert latest(database).id == stopped


def test_samples_are_read_in_order_from_a_moment_on(database: Database) -> None:
    made = [Sample(NOW + n, 1, 2, 3.0, 4.0, gpu_power_w=5.0) for n in (2, 0, 1)]
    for sample in made:
        workers.add_sample(database, sample=sample)
    assert workers.list_samples(database, since=NOW + 1) == [made[2], made[0]]


def test_a_step_has_the_mean_of_its_samples(database: Database) -> None:
    start = NOW - NOW % 60
    for at, queued, power in ((0, 1, None), (59, 4, None), (60, 7, 100.0), (70, 7, None), (190, 9, 50.0)):
        sample = Sample(start + at, queued, 2, queued / 2, 4.0, gpu_power_w=power)
        workers.add_sample(database, sample=sample)
    assert workers.list_samples(database, since=start, step_seconds=60) == [
        Sample(start, 3, 2, 1.25, 4.0),
        Sample(start + 60, 7, 2, 3.5, 4.0, gpu_power_w=100.0),
        Sample(start + 180, 9, 2, 4.5, 4.0, gpu_power_w=50.0),
    ]


def test_samples_older_than_a_week_are_forgotten(database: Database) -> None:
    for at in (NOW - 1, NOW, NOW + SAMPLES_KEPT_SECONDS):
        workers.add_sample(database, sample=Sample(at, 0, 0, 0.0, 0.0))
    assert [sample.at for sample in workers.list_samples(database, since=0)] == [
        NOW,
        NOW + SAMPLES_KEPT_SECONDS,
    ]


def test_two_samples_of_the_same_moment_are_one(database: Database) -> None:
    for queued in (1, 2):
        workers.add_sample(database, sample=Sample(NOW, queued, 0, 0.0, 0.0))
    assert [sample.queued_requests for sample in workers.list_samples(database, since=0)] == [2]
