"""A disk that is really full: the worker waits with its answers in hand, and nothing is lost, doubled or torn."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_app.database import Database
from batch_app.settings import Settings
from batch_app.states import BatchStatus
from tests.lines import chat_line, chat_lines
from tests.small_disk import SmallDisk, small_disk
from tests.worker.conftest import Bench, HeldEngine, custom_ids, run

LINES = 600
TEXT = "word " * 400


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def database(disk: SmallDisk, settings: Settings, migrated: Path) -> Iterator[Database]:
    """The whole data folder lies on the small disk."""
    shutil.copy(migrated, disk.folder / "batch.db")
    database = Database(disk.folder / "batch.db")
    yield database
    database.close()


@pytest.fixture
def bench(disk: SmallDisk, settings: Settings, database: Database) -> Iterator[Bench]:
    bench = Bench(database, settings.model_copy(update={"data_dir": disk.folder}))
    yield bench
    for worker in bench.workers:
        bench._free(worker)


def assert_whole(bench: Bench, batch_id: str) -> None:
    assert bench.status(batch_id) is BatchStatus.COMPLETED
    assert sorted(custom_ids(bench.output(batch_id))) == sorted(f"candidate-{i}" for i in range(LINES))
    assert all(line["response"]["status_code"] == 200 for line in bench.output(batch_id))
    assert custom_ids(bench.errors(batch_id)) == ["bad"]
    assert set(bench.ledger(batch_id, "attempts")) == {(1,)}
    with bench.database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    assert list(bench.settings.temp_dir.iterdir()) == []
    ended = bench.batch(batch_id)
    kept = {ended.input_file_id, ended.output_file_id, ended.error_file_id}
    assert {path.stem for path in bench.settings.files_dir.iterdir()} == kept


def submit(bench: Bench) -> str:
    return bench.submit([*chat_lines(LINES, f"<{{}}> {TEXT}"), chat_line("bad", "[[fail 400]]")])


def test_a_disk_that_fills_up_in_the_middle_delays_the_batch_and_no_more(
    bench: Bench, disk: SmallDisk
) -> None:
    async def scenario() -> None:
        bench.with_settings(window=20)
        batch_id = submit(bench)
        worker = bench.worker()
        await bench.turns(worker, until=lambda: _answered(bench, batch_id) >= LINES // 3)
        disk.fill()
        await bench.turns(worker, until=lambda: worker.runs.trouble is not None)
        answered = _answered(bench, batch_id)
        for _ in range(10):
            await bench.turn(worker)
        assert worker.runs.trouble is not None
        assert worker.runs.held <= 20
        assert _answered(bench, batch_id) <= answered + 20
        disk.make_room()
        await bench.finish(worker, batch_id)
        assert worker.runs.trouble is None
        assert_whole(bench, batch_id)

    run(scenario())


def test_a_disk_without_room_for_the_finished_files_delays_the_end_and_no_more(
    bench: Bench, disk: SmallDisk
) -> None:
    async def scenario() -> None:
        engine = HeldEngine()
        batch_id = submit(bench)
        worker = bench.worker(lambda _spec: engine)
        engine.let_go("[[", *(f"<{n}>" for n in range(LINES - 1)))
        await bench.turns(worker, until=lambda: _answered(bench, batch_id) == LINES)
        disk.fill(leaving=512 * 1024)
        engine.let_go()
        await bench.turns(worker, until=lambda: worker.runs.trouble is not None)
        for _ in range(10):
            await bench.turn(worker)
        if disk.is_mounted:
            assert bench.status(batch_id) is BatchStatus.FINALIZING
            assert list(bench.settings.temp_dir.iterdir()) == [], "half a file takes no room"
        disk.make_room()
        await bench.finish(worker, batch_id)
        assert_whole(bench, batch_id)

    run(scenario())


def test_a_worker_that_dies_while_the_disk_is_full_leaves_nothing_torn(bench: Bench, disk: SmallDisk) -> None:
    async def scenario() -> None:
        bench.with_settings(window=20)
        batch_id = submit(bench)
        worker = bench.worker()
        await bench.turns(worker, until=lambda: _answered(bench, batch_id) >= LINES // 3)
        disk.fill()
        await bench.turns(worker, until=lambda: worker.runs.trouble is not None)
        disk.make_room()
        bench.crash(worker)
        await bench.finish(bench.worker(), batch_id)
        assert_whole(bench, batch_id)

    run(scenario())


def _answered(bench: Bench, batch_id: str) -> int:
    return sum(status in ("completed", "failed") for (status,) in bench.ledger(batch_id, "status"))
