"""The looks that need the project's own code, in the order in which they make sense. One may take minutes, so each
reads the clock itself."""

import time
from collections.abc import Callable, Iterator

from batch_app.database import Database
from batch_app.operations.migrate import Schema, schema_of
from batch_app.settings import Settings
from scripts.doctor import data, processes, setup
from scripts.doctor.findings import Finding

Look = Callable[[], Iterator[Finding]]


def looks(settings: Settings, *, deep: bool) -> Iterator[tuple[str, Look]]:
    yield "settings", lambda: setup.secrets_file(settings.env_file)
    yield "models", lambda: setup.models(settings)
    yield "gpu", lambda: setup.gpu(settings)
    yield "engine", lambda: setup.engine(settings)
    yield "ports", lambda: processes.ports(settings)
    yield "api", lambda: processes.api(settings)
    yield "sqlite", data.sqlite
    yield "database", lambda: data.soundness(settings)
    if not settings.database_path.exists():
        return
    database = Database(settings.database_path)
    yield "schema", lambda: data.schema(database)
    yield "database", lambda: data.log_and_space(database)
    try:
        current = schema_of(database) is Schema.CURRENT
    except Exception:  # noqa: BLE001  # the looks above have said so
        current = False
    if current:
        yield "clock", lambda: data.moments(database, time.time())
        yield "files", lambda: data.named_files(database, settings, deep=deep)
        yield "leftovers", lambda: data.leftovers(database, settings, time.time())
        yield "worker", lambda: processes.living_workers(database, settings, time.time())
        yield "claims", lambda: processes.claims(database)
        yield "engine", lambda: processes.engines(database)
    database.close()
