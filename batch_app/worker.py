"""The worker process: `python -m batch_app.worker [--check]`. Starts alone, in any order with the others.

Sets up one incarnation (row, heartbeat, watcher for orphans), runs its loop, and takes it down in order.
"""

import argparse
import asyncio
import importlib.util
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
from sqlalchemy.exc import SQLAlchemyError

from batch_app import ids
from batch_app.database import Database
from batch_app.disk.storage_errors import describe_error
from batch_app.errors import BatchAppError, ConfigurationError
from batch_app.host.gpu import has_gpu, read_gpu
from batch_app.inference.echo_engine import EchoEngine
from batch_app.inference.engine import Engine
from batch_app.inference.vllm_arguments import missing
from batch_app.inference.vllm_build import is_for_cuda
from batch_app.inference.vllm_engine import VllmEngine
from batch_app.logs import set_up_logging
from batch_app.models import Models, ModelSpec, load_models
from batch_app.operations.migrate import Schema, require_current_schema, schema_of
from batch_app.processing import lost_workers, orphans
from batch_app.processing.heartbeat import Heartbeat
from batch_app.processing.worker_loop import Worker
from batch_app.settings import Settings, describe, lend_to_environment, load_settings
from batch_app.store import workers

log = logging.getLogger("batch_app.worker")  # not by __name__: it runs as __main__

_SCHEMA_POLL_SECONDS = 0.5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m batch_app.worker", description=__doc__)
    parser.add_argument("--check", action="store_true", help="print the effective settings and exit")
    arguments = parser.parse_args()
    try:
        settings = load_settings()
        if arguments.check:
            print(describe(settings))
            return 0
        lend_to_environment(settings)  # before anything imports what reads it
        return run(settings)
    except BatchAppError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except SQLAlchemyError as error:
        print(f"error: the database cannot be used: {describe_error(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def run(settings: Settings) -> int:
    """One incarnation, from its first line on the terminal to its orderly end."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the loop takes signals itself
    set_up_logging(settings.log_format)
    models = load_models(settings.models_file, allow_unlisted=settings.allow_unlisted_models)
    require_engine(settings, models)
    announce(settings)
    database = Database(settings.database_path)
    wait_for_schema(database, settings)
    with ExitStack() as ending:
        worker_id = ids.new_worker_id()
        ending.callback(end_watcher, orphans.start_watcher(worker_id))
        ending.callback(orphans.kill_until_gone, worker_id)
        ending.callback(note_stop, database, worker_id)
        register(database, settings, worker_id)
        heartbeat = Heartbeat(database, worker_id, interval_seconds=settings.heartbeat_seconds)
        ending.callback(heartbeat.stop)
        heartbeat.start()
        asyncio.run(work(database, settings, models, heartbeat, worker_id))
    return 0


def end_watcher(watcher: subprocess.Popen[bytes]) -> None:
    watcher.kill()
    watcher.wait()


def note_stop(database: Database, worker_id: str) -> None:
    """A database that refuses must not keep the engine from being ended; the next worker sees who is gone."""
    try:
        workers.stop_worker(database, worker_id=worker_id, now=time.time())
    except SQLAlchemyError as error:
        log.error("stop_not_noted", extra={"reason": describe_error(error)})


def require_engine(settings: Settings, models: Models) -> None:
    """Raises ConfigurationError now rather than at the first batch, in the night."""
    if settings.engine == "echo":
        return
    for spec in models.specs:
        folder = Path(spec.source)
        if folder.is_absolute() and not folder.is_dir():
            raise ConfigurationError(
                f"model {spec.name}: {missing(folder)}, or correct {settings.models_file}"
            )
    if importlib.util.find_spec("vllm") is None:
        raise ConfigurationError(
            "vLLM is not installed: run `make setup` (or set BATCH_ENGINE=echo to try without)"
        )
    if is_for_cuda() and not has_gpu():
        raise ConfigurationError(
            "vLLM is built for an NVIDIA GPU and none answers: see `nvidia-smi`, "
            "or run `VARIANT=cpu make setup` to compute on the CPU"
        )


def announce(settings: Settings) -> None:
    gpu, can_use_it = read_gpu(), is_for_cuda() and has_gpu()
    if settings.log_format == "json":
        log.info("worker_started", extra={"gpu": gpu.name if gpu else None, "cuda": can_use_it})
        return
    if can_use_it:
        found = gpu.name if gpu else "present, but its driver tells nothing of it"
    elif gpu:
        found = f"{gpu.name}, not used: vLLM is built for the CPU (`VARIANT=gpu make setup`)"
    else:
        found = "not present, the engine runs on the CPU"
    print("Worker started. Waiting for batch jobs...")
    print(f"CUDA available: {can_use_it}")
    print(f"GPU: {found}", flush=True)


def wait_for_schema(database: Database, settings: Settings) -> None:
    """The API makes the schema of a new database; an old one is not waited for. Raises SchemaError."""
    if schema_of(database) is Schema.MISSING and settings.log_format == "json":
        log.info("waiting_for_the_database")
    elif schema_of(database) is Schema.MISSING:
        print("Waiting for the database: start the API, or run `make migrate`.", flush=True)
    while schema_of(database) is Schema.MISSING:
        time.sleep(_SCHEMA_POLL_SECONDS)
    require_current_schema(database)


def register(database: Database, settings: Settings, worker_id: str) -> None:
    """Enter this incarnation, and clear away what a crashed one left behind."""
    workers.register_worker(
        database,
        worker_id=worker_id,
        host=socket.gethostname(),
        pid=os.getpid(),
        process_started_at=lost_workers.started_after_boot(psutil.Process()),
        engine=settings.engine,
        now=time.time(),
    )
    lost = lost_workers.release_lost_workers(database, settings, own_id=worker_id, now=time.time())
    lost_workers.sweep(database, settings, lost=lost, now=time.time())


async def work(
    database: Database, settings: Settings, models: Models, heartbeat: Heartbeat, worker_id: str
) -> None:
    def make_engine(spec: ModelSpec) -> Engine:
        if settings.engine == "echo":
            return EchoEngine(latency_seconds=settings.echo_latency_ms / 1000, journal=settings.echo_journal)
        return VllmEngine(spec, owner=worker_id)

    worker = Worker(database, settings, models, make_engine, heartbeat, worker_id=worker_id)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    await worker.run_forever()


if __name__ == "__main__":
    sys.exit(main())
