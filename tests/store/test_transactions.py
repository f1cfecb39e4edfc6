"""The two kinds of transaction: a consistent view, and a change that waits for its turn instead of failing."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pysqlite3 import dbapi2
from sqlalchemy.exc import OperationalError

from batch_app.database import BUSY_TIMEOUT_MS, Database
from batch_app.operations.migrate import migrate
from batch_app.settings import PROJECT_DIR
from tests.factories import NOW, accept, everything, start_worker
from tests.store.counting import HOW_MANY, count_up

ONE_SAMPLE = "INSERT INTO samples VALUES (1, 0, 0, 0, 0, 0, 0, 0, 0)"


def counted(database: Database) -> int:
    with database.read() as connection:
        return int(connection.exec_driver_sql(HOW_MANY).scalar_one())


def test_a_committed_change_survives_a_power_cut(fresh: Database) -> None:
    pragmas = ["journal_mode", "synchronous", "foreign_keys", "busy_timeout"]
    with fresh.read() as connection:
        values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in pragmas]
    assert values == ["wal", 2, 1, BUSY_TIMEOUT_MS]


def test_the_sqlite_in_use_does_not_corrupt_a_wal_that_several_processes_checkpoint() -> None:
    assert dbapi2.sqlite_version_info >= (3, 51, 3)


def test_a_change_is_all_or_nothing(database: Database) -> None:
    def fail_halfway() -> None:
        with database.write() as connection:
            connection.exec_driver_sql(ONE_SAMPLE)
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert everything(database)["samples"] == []


def test_nothing_that_a_reader_does_is_kept(database: Database) -> None:
    with database.read() as connection:
        connection.exec_driver_sql(ONE_SAMPLE)
    assert everything(database)["samples"] == []


def test_a_new_reader_does_not_wait_for_a_writer_that_stands_still(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch_app.database.BUSY_TIMEOUT_MS", 100)
    with database.write() as connection:
        connection.exec_driver_sql(ONE_SAMPLE)
        late = Database(database.path)
        assert everything(late)["samples"] == []
        late.close()


def test_a_reader_sees_one_moment_whatever_is_written_meanwhile(database: Database) -> None:
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM batches").scalar_one() == 0
        accept(database)
        assert connection.exec_driver_sql("SELECT count(*) FROM batches").scalar_one() == 0
    assert len(everything(database)["batches"]) == 1


def test_a_writer_holds_the_lock_from_its_first_moment(database: Database) -> None:
    """Otherwise two that read first and write then would find out too late, and one would fail for good."""
    with database.write():
        other = dbapi2.connect(str(database.path), timeout=0, isolation_level=None)
        with pytest.raises(dbapi2.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()


def test_a_reader_that_begins_to_write_fails_where_a_writer_would_have_waited(database: Database) -> None:
    with database.read() as connection:
        connection.exec_driver_sql("SELECT * FROM batches").all()
        accept(database)
        with pytest.raises(OperationalError, match="locked"):
            connection.exec_driver_sql("DELETE FROM samples")


def test_threads_that_write_at_once_wait_for_each_other(database: Database) -> None:
    start_worker(database, worker_id="counter")
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(count_up, database.path, 20) for _ in range(8)]:
            done.result()
    assert counted(database) == 160


def test_processes_that_write_at_once_wait_for_each_other(database: Database) -> None:
    start_worker(database, worker_id="counter")
    command = [sys.executable, "-m", "tests.store.counting", str(database.path), "50"]
    counting = [subprocess.Popen(command, cwd=PROJECT_DIR) for _ in range(2)]
    assert [process.wait(timeout=120) for process in counting] == [0, 0]
    assert counted(database) == 100


def test_a_database_is_opened_for_the_first_time_by_everybody_at_once(tmp_path: Path) -> None:
    """Whoever comes second waits until the first has made the file what it shall be."""
    path = tmp_path / "new.db"
    first = dbapi2.connect(str(path), isolation_level=None)
    first.execute("BEGIN IMMEDIATE")

    def open_it() -> None:
        database = Database(path)
        migrate(database)
        database.close()

    with ThreadPoolExecutor() as pool:
        second = pool.submit(open_it)
        try:
            with pytest.raises(TimeoutError):
                second.result(timeout=0.3)
        finally:
            first.execute("COMMIT")
            first.close()
        second.result(timeout=30)


def test_a_database_is_migrated_by_everybody_at_once(tmp_path: Path) -> None:
    databases = [Database(tmp_path / "new.db") for _ in range(2)]
    with databases[0].read(), databases[1].read():
        pass  # both have opened the file
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(migrate, databases))
    accept(databases[0], now=NOW)
    assert len(everything(databases[1])["batches"]) == 1
    for database in databases:
        database.close()
