"""The database's files stay as small as what is in them."""

import threading

from batch_app.database import Database
from batch_app.store import retention, vacuum, webhooks
from tests import factories

MIB = 1024**2


def grow(database: Database, batches: int = 8) -> None:
    for _ in range(batches):
        factories.complete(database, factories.accept(database, lines=1000))


def test_a_large_log_is_written_into_the_database_and_cut(database: Database) -> None:
    grow(database)
    assert vacuum.wal_bytes(database) > MIB
    assert vacuum.truncate_wal(database, limit_bytes=MIB) == 0


def test_a_small_log_is_left_alone(database: Database) -> None:
    factories.accept(database)
    size = vacuum.wal_bytes(database)
    assert size > 0
    assert vacuum.truncate_wal(database, limit_bytes=MIB) == size


def test_a_stuck_reader_keeps_the_log_but_nobody_waits_for_it_for_long(database: Database) -> None:
    reader = database.engine.connect()
    reader.exec_driver_sql("SELECT * FROM batches").all()
    grow(database, 2)
    assert vacuum.truncate_wal(database, limit_bytes=1) > 0
    written = threading.Thread(target=factories.accept, args=(database,))
    written.start()
    written.join(timeout=60)
    assert not written.is_alive()
    reader.close()
    assert vacuum.truncate_wal(database, limit_bytes=1) == 0


def test_what_deleted_batches_took_is_given_back_to_the_disk(database: Database) -> None:
    grow(database)
    assert vacuum.release_free_pages(database, min_bytes=MIB, min_share=0.25) == 0
    webhooks.create_deliveries(database, urls=[], now=factories.NOW)
    while retention.delete_ended_batch(database, ended_before=factories.NOW + 1):
        pass
    vacuum.truncate_wal(database, limit_bytes=0)
    large = database.path.stat().st_size

    given_back = vacuum.release_free_pages(database, min_bytes=MIB, min_share=0.25)

    vacuum.truncate_wal(database, limit_bytes=0)
    assert given_back > MIB
    assert database.path.stat().st_size < large / 4
