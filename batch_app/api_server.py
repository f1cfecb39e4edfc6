"""The API process: `python -m batch_app.api_server [--check]`. Validates, stores, reports; imports no engine.

Listens on port 4080 of this machine by default. Makes the schema of a new database; refuses an old one.
"""

import argparse
import asyncio
import gc
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from prometheus_fastapi_instrumentator.middleware import PrometheusInstrumentatorMiddleware
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from batch_app import __version__
from batch_app.answer_index.index import Indexes
from batch_app.api import errors, openapi
from batch_app.api.access_control import Guards, origin_pattern
from batch_app.api.connections import Connection, allow_many_connections
from batch_app.api.context import Context
from batch_app.api.etags import Etags
from batch_app.api.housekeeping import keep_house
from batch_app.api.metrics import http_durations
from batch_app.api.request_log import RequestLog
from batch_app.api.routes import (
    answers,
    batch_requests,
    batches,
    comparisons,
    files,
    joined_answers,
    system,
    webhooks,
)
from batch_app.api.submission import GpuReader, Submissions
from batch_app.api.webhook_sender import WebhookSender
from batch_app.database import Database
from batch_app.disk.files import make_folder
from batch_app.errors import BatchAppError, ConfigurationError
from batch_app.host.gpu import read_gpu
from batch_app.logs import set_up_logging
from batch_app.models import load_models
from batch_app.operations.migrate import Schema, migrate, require_current_schema, schema_of
from batch_app.settings import Settings, describe, load_settings

# A thread that checks an upload lets the others have the interpreter this often. Python's own 5 ms, several times over
# for each answer, would make every page wait for as long as an upload lasts.
_SWITCH_SECONDS = 0.0005
_EXPOSED = ["x-request-id", "retry-after", "etag", "content-range", "content-disposition", "x-incomplete"]


def create_app(settings: Settings, *, gpu_reader: GpuReader = read_gpu) -> FastAPI:
    """The ASGI application. Opens and, when it is new, migrates the database. Raises BatchAppError."""
    models = load_models(settings.models_file, allow_unlisted=settings.allow_unlisted_models)
    for folder in (settings.files_dir, settings.work_dir, settings.temp_dir):
        make_folder(folder)
    database = open_database(settings)
    submissions = Submissions(database, settings, models, gpu_reader)
    context = Context(settings, database, models, submissions, Indexes(database, settings))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        beside = [
            asyncio.create_task(keep_house(context)),
            asyncio.create_task(WebhookSender(database, settings).run_forever()),
        ]
        yield
        for task in beside:
            task.cancel()
        await asyncio.wait(beside)
        database.close()

    app: FastAPI = FastAPIOffline(
        title="Batch",
        version=__version__,
        description="OpenAI's Batch API on your own machine: a file of requests in, a file of answers out.",
        lifespan=lifespan,
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origin_regex=origin_pattern(settings),
                allow_methods=["GET", "POST", "DELETE"],
                allow_headers=["authorization", "content-type", "idempotency-key", "if-none-match"],
                expose_headers=[*_EXPOSED, "x-last-line"],
            ),
            Middleware(RequestLog),
            Middleware(Guards, settings=settings),
            Middleware(
                PrometheusInstrumentatorMiddleware,
                instrumentations=[http_durations(context.http_metrics)],
                registry=context.http_metrics,
            ),
            Middleware(Etags),
        ],
    )
    app.state.context = context
    errors.install(app)
    for module in (batches, batch_requests, answers, comparisons, joined_answers, files, system, webhooks):
        app.include_router(module.router)
    openapi.install(app)
    return app


def open_database(settings: Settings) -> Database:
    """Raises SchemaError when the schema is another one than this code knows."""
    database = Database(settings.database_path)
    if schema_of(database) is Schema.MISSING:
        migrate(database)
    require_current_schema(database)
    return database


def require_free_port(host: str, port: int) -> None:
    """Raises ConfigurationError before anything is started, rather than a traceback after."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {host}:{port} ({error.strerror}); see who does with `lsof -i :{port}`, "
                "or set BATCH_API_PORT"
            ) from None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m batch_app.api_server", description=__doc__)
    parser.add_argument("--check", action="store_true", help="print the effective settings and exit")
    arguments = parser.parse_args()
    try:
        settings = load_settings()
        if arguments.check:
            print(describe(settings))
            return 0
        set_up_logging(settings.log_format)
        require_free_port(settings.api_host, settings.api_port)
        app = create_app(settings)
    except BatchAppError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()  # what is loaded stays: a collection that walks it lets nobody else run, for a tenth of a second
    # Uploads spool into the data folder: the system's temporary folder may be small, or in memory.
    tempfile.tempdir = str(settings.temp_dir)
    allow_many_connections()
    uvicorn.run(
        app,
        host=settings.api_host,
        port=settings.api_port,
        http=Connection,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
