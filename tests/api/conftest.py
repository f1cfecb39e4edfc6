"""An API per test, on a data folder of its own."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from batch_app.answer_index.index import Indexes
from batch_app.api import answer_search
from batch_app.database import Database
from batch_app.operations.migrate import migrate
from batch_app.settings import Settings
from tests.api.served import Api, default_app


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty, migrated database, to be copied: migrating takes as long as most tests."""
    database = Database(tmp_path_factory.mktemp("migrated") / "batch.db")
    migrate(database)
    database.close()
    return database.path


@pytest.fixture(autouse=True)
def time_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that looks through answers has a minute for it instead of part of a second: what a slow machine leaves for
    the next call is not what tests of an answer are about."""
    refresh = Indexes.refresh

    def refresh_all(self: Indexes, batch_id: str, *, seconds: float) -> bool:
        return refresh(self, batch_id, seconds=max(seconds, 60))

    monkeypatch.setattr(Indexes, "refresh", refresh_all)
    monkeypatch.setattr(answer_search, "_SEARCH_SECONDS", 60)


@pytest.fixture
def serve(settings: Settings, empty_database: Path) -> Iterator[Callable[..., Api]]:
    """Makes an API with other settings: `serve(max_file_bytes=1000)`."""
    made: list[Api] = []

    def make(**changes: Any) -> Api:
        settings.data_dir.mkdir()
        shutil.copy(empty_database, settings.database_path)
        made.append(Api(Settings(**{**settings.model_dump(exclude_unset=True), **changes})))
        return made[-1]

    yield make
    for api in made:
        api.close()


@pytest.fixture
def api(settings: Settings, empty_database: Path) -> Iterator[Api]:
    """An API with the default settings, an empty database and no worker."""
    settings.data_dir.mkdir()
    shutil.copy(empty_database, settings.database_path)
    api = Api(settings, default_app())
    yield api
    api.close()
