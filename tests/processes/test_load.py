"""Many clients at once, some of them stuck: nobody is turned away with an error, and nothing is held up for them."""

from contextlib import ExitStack, closing

import pytest
from pysqlite3 import dbapi2

from tests.lines import chat_lines, jsonl
from tests.load.clients import Clients, StuckReader, stuck_download
from tests.load.memory import growth
from tests.processes.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.process

TOO_LATE = 409


def test_eight_clients_at_once_beside_a_reader_that_is_stuck_see_no_error(system: System) -> None:
    system.start_api()
    system.start_worker()
    system.wait_for_worker()
    with closing(StuckReader(system)):
        report = Clients(system, how_many=8, seed=4080).run(seconds=5, least={200: 50, TOO_LATE: 1})
    assert report.wrong == []
    assert report.statuses[200] >= 50
    assert report.statuses[TOO_LATE] > 0, "nobody was too late to cancel, or too early to retry"


def test_clients_that_stop_reading_a_download_hold_nothing_up(system: System) -> None:
    """The batch goes on, its answers are read by others, and nobody holds on to an old state of the database."""
    system.settings = {"ECHO_LATENCY_MS": "1000", "WINDOW": "300"}
    system.start_api()
    system.start_worker()
    batch_id = system.submit(jsonl(chat_lines(5000, text="{} " + "words " * 600)))
    wait_until(lambda: system.answered(batch_id) >= 2500, what="more answers than a socket holds")
    with ExitStack() as opened:
        for path in ("results", "export?format=jsonl"):
            opened.enter_context(stuck_download(system, f"/v1/batches/{batch_id}/{path}"))
        before = system.answered(batch_id)
        wait_until(lambda: system.answered(batch_id) > before, what="more answers")
        wait_until(
            lambda: system.get(f"/v1/batches/{batch_id}/answers")["total"] > before, what="them in the table"
        )
        wait_until(lambda: is_written_back(system), what="the log to be written into the database")


def is_written_back(system: System) -> bool:
    """Whether nobody holds on to an old state of the database."""
    with closing(dbapi2.connect(str(system.data_dir / "batch.db"))) as connection:
        [(is_held_up, _in_log, _written)] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return not is_held_up


def test_requests_leave_nothing_in_the_memory_of_the_processes(
    spawned: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")  # one for each thread grows by megabytes at a time
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
    spawned.start_api()
    spawned.start_worker()
    spawned.wait_for_worker()
    rounds = list(growth(spawned, warm_up=2000, lines=4000))
    assert all(sum(grown[name] for grown in rounds) < len(rounds) for name in rounds[0]), rounds
