"""One real database for all tests of the store, emptied after each: opening one takes longer than most tests."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event

from batch_app.database import Database
from batch_app.store.tables import metadata


def _do_not_wait_for_the_disk(connection: Any, _record: Any) -> None:
    """Tests lose no power. `test_transactions` holds the real setting to its promise."""
    connection.execute("PRAGMA synchronous = OFF")


@pytest.fixture(scope="session")
def one_database(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[Database]:
    path = tmp_path_factory.mktemp("store") / "batch.db"
    shutil.copy(migrated, path)
    database = Database(path)
    event.listen(database.engine, "connect", _do_not_wait_for_the_disk)
    yield database
    database.close()


@pytest.fixture
def database(one_database: Database) -> Iterator[Database]:
    """An empty, migrated database."""
    yield one_database
    with one_database.write() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Database]:
    """A database of its own that nobody has migrated."""
    database = Database(tmp_path / "fresh.db")
    yield database
    database.close()
