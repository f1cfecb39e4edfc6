"""Prometheus metrics. Batches and requests are read from the database at each scrape: nothing is counted beside the
ledger. Only how long HTTP calls take is this process's own knowledge, gone with it.
"""

import time
from collections.abc import Callable, Iterable
from itertools import accumulate
from math import inf

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_fastapi_instrumentator import metrics as instrumentations
from prometheus_fastapi_instrumentator.metrics import Info

from batch_app.api.context import Context
from batch_app.store import admission, batches, durations, progress, webhooks, workers
from batch_app.store.durations import Bucket

_CALL_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


def http_durations(registry: CollectorRegistry) -> Callable[[Info], None]:
    """Observes each HTTP call, by route, method and kind of status."""
    observe = instrumentations.latency(
        "batch_http_request_duration_seconds", buckets=_CALL_BUCKETS, registry=registry
    )
    assert observe is not None  # a registry of its own has no such metric yet
    return observe


class _Readings(Collector):
    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> Iterable[Metric]:
        database = self._context.database
        queue = admission.queue_state(database)
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
        yield _durations(durations.all_durations(database))
        deliveries = GaugeMetricFamily("batch_webhook_deliveries", "Webhooks by status.", labels=["status"])
        for delivery_status, count in webhooks.count_deliveries(database).items():
            deliveries.add_metric([delivery_status], count)
        yield deliveries
        yield from _worker_metrics(self._context)


def _worker_metrics(context: Context) -> Iterable[Metric]:
    worker = workers.latest_worker(context.database)
    if worker is not None:
        now = time.time()
        age = now - worker.heartbeat_at
        heard = workers.is_heard(worker, context.settings, now=now)
        in_flight, speed = (worker.requests_in_flight, worker.tokens_per_second) if heard else (0, 0.0)
        yield _gauge("batch_worker_heartbeat_age_seconds", "Since the worker's last heartbeat.", age)
        yield _gauge("batch_worker_requests_in_flight", "Requests in the engine.", in_flight)
        yield _gauge("batch_worker_tokens_per_second", "Output tokens per second.", speed)
        restarts = CounterMetricFamily("batch_engine_restarts", "Engine restarts of this worker.")
        restarts.add_metric([], worker.engine_restarts)
        yield restarts


def _durations(buckets: list[Bucket]) -> HistogramMetricFamily:
    bounds = ["+Inf" if bucket.up_to_seconds == inf else str(bucket.up_to_seconds) for bucket in buckets]
    counts = accumulate(bucket.requests for bucket in buckets)
    return HistogramMetricFamily(
        "batch_request_duration_seconds",
        "From a request's way into the engine to its answer's being saved.",
        buckets=list(zip(bounds, counts, strict=True)),
        sum_value=sum(bucket.seconds for bucket in buckets),
    )


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_text, value=value)


def render(context: Context) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Readings(context))
    return generate_latest(registry) + generate_latest(context.http_metrics)
