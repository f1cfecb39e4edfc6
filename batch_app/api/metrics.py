"""Prometheus metrics, read from the database at each scrape: nothing is counted beside the ledger."""

import time
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from batch_app.api.context import Context
from batch_app.store import batches, progress, workers


class _Readings(Collector):
    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> Iterable[Metric]:
        database = self._context.database
        queue = batches.queue_state(database)
        yield _gauge("batch_active_batches", "Batches queued or running.", queue.active_batches)
        yield _gauge("batch_queued_requests", "Requests without an answer yet.", queue.queued_requests)
        by_status = GaugeMetricFamily("batch_batches", "Batches by status.", labels=["status"])
        for status, count in batches.count_batches_by_status(database).items():
            by_status.add_metric([str(status)], count)
        yield by_status
        totals = progress.all_time_totals(database)
        requests = CounterMetricFamily("batch_requests", "Requests by outcome.", labels=["outcome"])
        tokens = CounterMetricFamily("batch_tokens", "Tokens by kind.", labels=["kind"])
        for outcome in ("completed", "failed", "cancelled", "expired"):
            requests.add_metric([outcome], getattr(totals, outcome))
        for kind in ("input", "cached", "output"):
            tokens.add_metric([kind], getattr(totals, f"{kind}_tokens"))
        yield requests
        yield tokens
        yield from _worker_metrics(self._context)


def _worker_metrics(context: Context) -> Iterable[Metric]:
    worker = workers.latest_worker(context.database)
    if worker is not None:
        age = time.time() - worker.heartbeat_at
        yield _gauge("batch_worker_heartbeat_age_seconds", "Since the worker's last heartbeat.", age)
        yield _gauge("batch_worker_requests_in_flight", "Requests in the engine.", worker.requests_in_flight)
        yield _gauge("batch_worker_tokens_per_second", "Output tokens per second.", worker.tokens_per_second)
        restarts = CounterMetricFamily("batch_engine_restarts", "Engine restarts of this worker.")
        restarts.add_metric([], worker.engine_restarts)
        yield restarts


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_text, value=value)


def render(context: Context) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Readings(context))
    return generate_latest(registry)
