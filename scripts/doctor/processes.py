"""What runs: who holds the ports, which workers live, what dead ones have left behind."""

import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

import psutil

from batch_app.database import Database
from batch_app.inference.engine_processes import marked
from batch_app.processing.lost_workers import is_gone
from batch_app.settings import Settings
from batch_app.store import batches, workers
from scripts.doctor.findings import Finding, bad, listed, ok, warn

_OURS: Final = {"API": "batch_app.api_server", "pages": "serve_results.py"}
_SLOW_SECONDS = 2.0
_PATIENCE_SECONDS = 15.0


def ports(settings: Settings) -> Iterator[Finding]:
    for service, port in (("API", settings.api_port), ("pages", settings.web_port)):
        holders = _listeners(port)
        if not holders:
            yield ok("ports", f"{port}: free, {service} not running")
        elif _is_ours(service, holders):
            yield ok("ports", f"{port}: our {service}, pid {listed(pid for pid in holders if pid)}")
        else:
            who = [
                f"pid {pid} ({' '.join(_command(pid))[:60]})" if pid else "another user's" for pid in holders
            ]
            name = "BATCH_API_PORT" if service == "API" else "BATCH_WEB_PORT"
            yield bad("ports", f"{port}: held by {listed(who)}", f"stop it, or set {name}")


def _is_ours(service: str, holders: Iterable[int | None]) -> bool:
    return any(_OURS[service] in " ".join(_command(pid)) for pid in holders if pid)


def _listeners(port: int) -> set[int | None]:
    with suppress(psutil.AccessDenied):
        found = psutil.net_connections(kind="tcp")
        return {
            entry.pid
            for entry in found
            if entry.status == psutil.CONN_LISTEN and entry.laddr and entry.laddr[1] == port
        }
    return set()


def _command(pid: int) -> list[str]:
    with suppress(psutil.Error):
        return psutil.Process(pid).cmdline()
    return []


def api(settings: Settings) -> Iterator[Finding]:
    """How long the API takes to say that it lives; nothing when it does not run."""
    if not _is_ours("API", _listeners(settings.api_port)):
        return
    started = time.monotonic()
    try:
        with urllib.request.urlopen(f"{settings.api_url}/livez", timeout=_PATIENCE_SECONDS):  # noqa: S310  # http, ours
            seconds = time.monotonic() - started
    except (OSError, urllib.error.URLError) as error:
        yield bad("api", f"does not answer: {error}", "its last log lines, then start it again")
        return
    if seconds > _SLOW_SECONDS:
        yield warn("api", f"answers after {seconds:.1f} s", "'The API answers slowly' in docs/operations.md")
    else:
        yield ok("api", f"answers after {seconds * 1000:.0f} ms")


def living_workers(database: Database, settings: Settings, now: float) -> Iterator[Finding]:
    open_batches = batches.list_open_batches(database)
    lively = 0
    for worker in workers.living_workers(database):
        age = max(0.0, now - worker.heartbeat_at)  # it may have come since
        text = f"{worker.id}, pid {worker.pid}, {worker.state}, heartbeat {age:.0f} s ago"
        if is_gone(worker):
            yield warn("worker", f"{worker.id} died without a word", "`make worker`: it takes over at once")
        elif workers.heartbeat_status(worker, settings, now=now) != "fresh":
            yield warn("worker", text, "'A batch is stuck' in docs/operations.md")
        elif trouble := worker.trouble:
            lively += 1
            yield warn("worker", f"{worker.id}: {trouble}", "it goes on by itself when that is over")
        else:
            lively += 1
            yield ok("worker", text)
    if not lively and open_batches:
        yield bad("worker", f"none that works, and batches wait: {len(open_batches)}", "`make worker`")
    elif not lively:
        yield ok("worker", "none, and no batch waits")
    if lively > 1:
        yield warn("worker", f"{lively} at once want the GPU", "stop all but one")


def claims(database: Database) -> Iterator[Finding]:
    alive = {worker.id for worker in workers.living_workers(database)}
    held = [
        batch.id for batch in batches.list_open_batches(database) if batch.worker_id not in {None, *alive}
    ]
    if held:
        yield warn("claims", f"{listed(held)} claimed by a worker that is gone", "the next worker frees them")


def engines(database: Database) -> Iterator[Finding]:
    """Engine processes whose worker is gone hold the GPU's memory. Other data folders' are none of our business."""
    owners = {process.pid: owner for process, owner in marked()}
    gone = {
        worker.id
        for worker in workers.find_workers(database, worker_ids=set(owners.values()))
        if worker.stopped_at is not None or is_gone(worker)
    }
    if orphans := [pid for pid, owner in owners.items() if owner in gone]:
        advice = f"`kill -9 {' '.join(map(str, orphans))}`, or wait a few seconds: a watcher does"
        yield bad("engine", f"processes of a dead worker: {listed(orphans)}", advice)
