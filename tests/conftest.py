"""Fixtures that several layers share. Every test has a data folder, a database and an environment of its own."""

import logging
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from batch_app.database import Database
from batch_app.operations.migrate import migrate
from batch_app.settings import PREFIX, Settings
from tests.layers import LAYERS
from tests.processes.forked import ForkedSystem, Nursery
from tests.processes.system import System

_SESSION = pytest.StashKey[pytest.Session]()


def pytest_configure() -> None:
    """Whoever starts a run in the background may have it ignore these, and every process of a test would too. What a
    handler of our own ignores is the default again in those."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_sessionfinish(session: pytest.Session) -> None:
    session.config.stash[_SESSION] = session


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """A thread that a test left behind, one that ran out of time, say, would keep this process from ending for ever."""
    main = threading.main_thread()
    left = [thread.name for thread in threading.enumerate() if thread is not main and not thread.daemon]
    if left and _SESSION in config.stash:
        print(f"left behind by a test: {', '.join(left)}", flush=True)
        os._exit(int(config.stash[_SESSION].exitstatus))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LAYERS.index(item.path.relative_to(Path(__file__).parent).parts[0]))


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's shell or `.env` reaches a test."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BATCH_ENV_FILE", os.devnull)


@pytest.fixture(autouse=True)
def _clean_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A `main` that a test calls sets up logging, and a folder for temporary files, as if the process were its own."""
    monkeypatch.setattr("tempfile.tempdir", tempfile.tempdir)
    loggers = [logging.getLogger(name) for name in ("batch_app", "uvicorn")]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An echo engine on a fresh data folder, quick to retry; change it with `settings.model_copy(update=…)`."""
    return Settings(data_dir=tmp_path / "data", engine="echo", retry_backoff_seconds=0)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty, migrated database file to copy: migrating takes longer than most tests."""
    database = Database(tmp_path_factory.mktemp("migrated") / "batch.db")
    migrate(database)
    database.close()
    return database.path


@pytest.fixture
def database(settings: Settings, migrated: Path) -> Iterator[Database]:
    """An empty, migrated database."""
    settings.data_dir.mkdir()
    shutil.copy(migrated, settings.database_path)
    database = Database(settings.database_path)
    yield database
    database.close()


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with closing(Nursery()) as nursery:
        yield nursery


@pytest.fixture
def system(nursery: Nursery, tmp_path: Path) -> Iterator[System]:
    """The real processes, not started yet, on a data folder and ports of their own; all stopped at the end."""
    running = ForkedSystem(tmp_path / "data", nursery=nursery)
    yield running
    running.stop_all()


@pytest.fixture
def spawned(tmp_path: Path) -> Iterator[System]:
    """As `system`, each process started by its command, seconds later; for tests of just that."""
    running = System(tmp_path / "data")
    yield running
    running.stop_all()
