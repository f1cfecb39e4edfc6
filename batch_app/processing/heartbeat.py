"""A thread that says the worker lives, whatever the engine and the event loop are doing.

It also takes the samples behind the charts. It reads what the loop last said of itself and never waits for it.
"""

import logging
import os
import threading
import time
from dataclasses import asdict, dataclass, replace

from sqlalchemy.exc import SQLAlchemyError

from batch_app.database import Database
from batch_app.disk.storage_errors import describe_error
from batch_app.host.gpu import GpuSnapshot, read_gpu
from batch_app.host.memory import resident_bytes
from batch_app.store import admission, workers
from batch_app.store.workers import Sample, WorkerReport

log = logging.getLogger(__name__)

_LEAST_SECONDS = 0.1  # a step of the engine just after a sample makes no thousands of tokens a second


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """What the loop says of itself, replaced as a whole. Totals count from the worker's start."""

    report: WorkerReport
    tokens_total: int = 0
    answers_total: int = 0


def _headline(report: WorkerReport) -> tuple[object, ...]:
    """What is worth a heartbeat of its own when it changes."""
    return report.state, report.model, report.batch_ids, report.trouble


class Heartbeat(threading.Thread):
    """Beats every `interval_seconds`, and at once when the worker's state changes."""

    def __init__(self, database: Database, worker_id: str, *, interval_seconds: float) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._database, self._worker_id = database, worker_id
        self._interval_seconds = interval_seconds
        self._wake, self._stopped = threading.Event(), threading.Event()
        self._status = WorkerStatus(WorkerReport(state="idle"))
        self._before = (self._status, time.monotonic())
        self.gpu: GpuSnapshot | None = None
        self.memory_bytes = 0

    def tell(self, status: WorkerStatus) -> None:
        """Called by the loop, as often as it likes."""
        old, self._status = self._status.report, status
        if _headline(old) != _headline(status.report):
            self._wake.set()

    def run(self) -> None:
        next_at = 0.0
        while not self._stopped.is_set():
            due = time.monotonic() >= next_at
            if due:
                next_at = time.monotonic() + self._interval_seconds
            try:
                self.beat(time.time(), steady_now=time.monotonic(), with_sample=due)
            except (SQLAlchemyError, OSError) as error:
                log.warning("heartbeat_failed", extra={"reason": describe_error(error)})
            except Exception:  # a worker without heartbeats is taken to be lost, whatever the reason
                log.exception("heartbeat_crashed")
            self._wake.wait(max(next_at - time.monotonic(), 0))
            self._wake.clear()

    def beat(self, now: float, *, steady_now: float, with_sample: bool) -> None:
        """One heartbeat; a sample goes with the regular ones. `steady_now` is of a clock that nobody sets."""
        self.gpu, self.memory_bytes = read_gpu(own_pid=os.getpid()), resident_bytes(os.getpid())
        status = self._status
        tokens_per_second, requests_per_second = self._rates(status, steady_now)
        gpu = asdict(self.gpu) if self.gpu else None
        report = replace(
            status.report, tokens_per_second=tokens_per_second, memory_bytes=self.memory_bytes, gpu=gpu
        )
        is_known = workers.beat(self._database, worker_id=self._worker_id, report=report, now=now)
        if not is_known and not self._stopped.is_set():
            log.warning("worker_revived", extra={"worker_id": self._worker_id})
            workers.revive_worker(self._database, worker_id=self._worker_id, now=now)
        if with_sample:
            self._sample(report, requests_per_second, now)
            self._before = (status, steady_now)

    def _rates(self, status: WorkerStatus, steady_now: float) -> tuple[float, float]:
        """Tokens and answers a second since the last sample."""
        before, then = self._before
        seconds = max(steady_now - then, _LEAST_SECONDS)
        tokens = status.tokens_total - before.tokens_total
        answers = status.answers_total - before.answers_total
        return tokens / seconds, answers / seconds

    def _sample(self, report: WorkerReport, requests_per_second: float, now: float) -> None:
        gpu = self.gpu
        sample = Sample(
            at=now,
            queued_requests=admission.queue_state(self._database).queued_requests,
            requests_in_flight=report.requests_in_flight,
            tokens_per_second=report.tokens_per_second,
            requests_per_second=requests_per_second,
            gpu_memory_used_bytes=gpu.memory_used_bytes if gpu else None,
            gpu_utilization_percent=gpu.utilization_percent if gpu else None,
            gpu_temperature_c=gpu.temperature_c if gpu else None,
            gpu_power_w=gpu.power_w if gpu else None,
        )
        workers.add_sample(self._database, sample=sample)

    def stop(self) -> None:
        self._stopped.set()
        self._wake.set()
        if self.ident is not None:  # else it was interrupted while it was started, and ends as it begins
            self.join(timeout=10)
