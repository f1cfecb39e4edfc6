"""Stores worker incarnations, their heartbeats, and the samples shown in the charts."""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sqlalchemy import Column, Integer, Label, cast, delete, func, insert, select, update

from batch_app.database import Database
from batch_app.settings import Settings
from batch_app.store.tables import samples, workers

HeartbeatStatus = Literal["fresh", "late", "lost", "none"]
SAMPLES_KEPT_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Worker:
    """One incarnation of the worker process: a new id at every start. Its process started `process_started_at` seconds
    after the machine's boot."""

    id: str
    host: str
    pid: int
    process_started_at: float
    engine: str
    state: str
    started_at: float
    heartbeat_at: float
    stopped_at: float | None
    model: str | None
    batch_ids: list[str]
    requests_in_flight: int
    tokens_per_second: float
    cached_prompt_share: float | None
    engine_restarts: int
    memory_bytes: int | None
    trouble: str | None
    next_try_at: float | None
    gpu: dict[str, Any] | None


def lost_before(settings: Settings, *, now: float) -> float:
    """Returns the time of a heartbeat at or before which its worker counts as lost."""
    return now - settings.lost_seconds


def heartbeat_status(worker: Worker | None, settings: Settings, *, now: float) -> HeartbeatStatus:
    """Returns whether a worker's last heartbeat is fresh, late or lost; none when no worker is running."""
    if worker is None or (worker.stopped_at is not None and worker.state != "lost"):
        return "none"
    if worker.state == "lost" or worker.heartbeat_at <= lost_before(settings, now=now):
        return "lost"
    return "late" if worker.heartbeat_at <= now - settings.late_seconds else "fresh"


def is_heard(worker: Worker | None, settings: Settings, *, now: float) -> bool:
    """Returns whether a worker's last report may still be so: false for one that stopped or is lost."""
    return heartbeat_status(worker, settings, now=now) in ("fresh", "late")


def heard_worker(database: Database, settings: Settings, *, now: float) -> Worker | None:
    """Returns the latest worker if its last report may still be so."""
    worker = latest_worker(database)
    return worker if is_heard(worker, settings, now=now) else None


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What a heartbeat says. `cached_prompt_share` is 0 to 1, None where the engine does not tell.

    `trouble` is a sentence for a person about what keeps the worker from its work; `next_try_at` when it tries again.
    """

    state: str
    model: str | None = None
    batch_ids: list[str] = field(default_factory=list)
    requests_in_flight: int = 0
    tokens_per_second: float = 0.0
    cached_prompt_share: float | None = None
    engine_restarts: int = 0
    memory_bytes: int | None = None
    trouble: str | None = None
    next_try_at: float | None = None
    gpu: dict[str, Any] | None = None

    def as_columns(self) -> dict[str, Any]:
        columns = asdict(self)
        columns["batch_ids"] = json.dumps(self.batch_ids)
        columns["gpu"] = json.dumps(self.gpu) if self.gpu is not None else None
        return columns


def register_worker(
    database: Database,
    *,
    worker_id: str,
    host: str,
    pid: int,
    process_started_at: float,
    engine: str,
    now: float,
) -> None:
    with database.write("register_worker") as connection:
        connection.execute(
            insert(workers).values(
                id=worker_id,
                host=host,
                pid=pid,
                process_started_at=process_started_at,
                engine=engine,
                started_at=now,
                heartbeat_at=now,
                **WorkerReport(state="idle").as_columns(),
            )
        )


def beat(database: Database, *, worker_id: str, report: WorkerReport, now: float) -> bool:
    """Say that the worker lives. False when it was given up on: its claims are somebody else's by now."""
    alive = update(workers).where(workers.c.id == worker_id, workers.c.stopped_at.is_(None))
    with database.write("beat") as connection:
        return bool(connection.execute(alive.values(**report.as_columns(), heartbeat_at=now)).rowcount)


def revive_worker(database: Database, *, worker_id: str, now: float) -> None:
    """A worker that was given up on while it was paused is back, without the claims it had."""
    row = update(workers).where(workers.c.id == worker_id)
    with database.write("revive_worker") as connection:
        connection.execute(row.values(state="idle", stopped_at=None, heartbeat_at=now))


def stop_worker(database: Database, *, worker_id: str, now: float) -> None:
    row = update(workers).where(workers.c.id == worker_id)
    with database.write("stop_worker") as connection:
        connection.execute(
            row.values(
                state="stopped",
                stopped_at=now,
                requests_in_flight=0,
                tokens_per_second=0.0,
                trouble=None,
                next_try_at=None,
            )
        )


def latest_worker(database: Database) -> Worker | None:
    """The living worker with the freshest heartbeat, else the one that lived last."""
    order = (workers.c.stopped_at.is_not(None), workers.c.heartbeat_at.desc())
    found = _workers(database, select(workers).order_by(*order).limit(1))
    return found[0] if found else None


def living_workers(database: Database) -> list[Worker]:
    """Workers that neither stopped nor were given up on; they may have died since."""
    return _workers(database, select(workers).where(workers.c.stopped_at.is_(None)))


def find_workers(database: Database, *, worker_ids: Collection[str]) -> list[Worker]:
    """Those of these incarnations that are known here, living or not."""
    return _workers(database, select(workers).where(workers.c.id.in_(worker_ids)))


def _workers(database: Database, query: Any) -> list[Worker]:
    with database.read() as connection:
        return [_worker(row) for row in connection.execute(query)]


def _worker(row: Any) -> Worker:
    values = dict(row._mapping)
    values["batch_ids"] = json.loads(values["batch_ids"])
    values["gpu"] = json.loads(values["gpu"]) if values["gpu"] else None
    return Worker(**values)


@dataclass(frozen=True, slots=True)
class Sample:
    """A reading for the charts. `at` in Unix seconds; GPU fields are None without a GPU."""

    at: float
    queued_requests: int
    requests_in_flight: int
    tokens_per_second: float
    requests_per_second: float
    gpu_memory_used_bytes: int | None = None
    gpu_utilization_percent: float | None = None
    gpu_temperature_c: float | None = None
    gpu_power_w: float | None = None


def add_sample(database: Database, *, sample: Sample) -> None:
    """Keep a reading, and forget those older than seven days."""
    with database.write("add_sample") as connection:
        connection.execute(insert(samples).prefix_with("OR REPLACE").values(**asdict(sample)))
        connection.execute(delete(samples).where(samples.c.at < sample.at - SAMPLES_KEPT_SECONDS))


def list_samples(database: Database, *, since: float, step_seconds: int | None = None) -> list[Sample]:
    """Readings from a moment on, oldest first; with a step, the mean of those in each, at the step's beginning."""
    query = select(samples).where(samples.c.at >= since).order_by(samples.c.at)
    if step_seconds is not None:
        step = cast(samples.c.at / step_seconds, Integer)
        means = [_mean(column) for column in samples.c if column is not samples.c.at]
        query = select((step * step_seconds).label("at"), *means).where(samples.c.at >= since)
        query = query.group_by(step).order_by(step)
    with database.read() as connection:
        return [Sample(**row._mapping) for row in connection.execute(query)]


def _mean(column: Column[Any]) -> Label[Any]:
    mean = func.avg(column)
    return (cast(func.round(mean), Integer) if isinstance(column.type, Integer) else mean).label(column.name)
