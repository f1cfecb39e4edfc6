"""Backups and restores that end at a failpoint: what has a name is whole, and the next try succeeds."""

import time
from contextlib import closing
from pathlib import Path

from batch_app.database import Database
from batch_app.disk.failpoints import EXIT_STATUS
from batch_app.operations.backup import whole_backups
from batch_app.operations.restore import restore
from batch_app.settings import Settings
from tests import factories
from tests.lines import chat_lines
from tests.processes.forked import ForkedSystem
from tests.processes.invariants import examine_echoes, examine_folder, statuses
from tests.processes.scenarios import finish, prepared, submit

FINISHED, UNFINISHED = chat_lines(5), chat_lines(7)


def end_the_backup(system: ForkedSystem, failpoint: str, migrated: Path) -> None:
    backups = system.data_dir.parent / "backups"
    finished = _with_a_finished_batch(system, migrated)
    assert _back_up(system, backups) == 0
    _submit_another(system)
    assert _back_up(system, backups, "--keep", "1", failpoint=failpoint) == EXIT_STATUS
    assert whole_backups(backups)
    for number, backup in enumerate(whole_backups(backups)):
        restored = Settings(data_dir=system.data_dir.parent / f"restored-{number}")
        assert restore(restored, backup=backup, now=time.time()) == []
        assert statuses(restored.data_dir)[finished] == "completed"
        assert not examine_folder(restored.data_dir)
    assert _back_up(system, backups, "--keep", "1") == 0
    assert list(backups.iterdir()) == whole_backups(backups)[-1:]


def end_the_restore(system: ForkedSystem, failpoint: str, migrated: Path) -> None:
    """The next try takes another backup, of an earlier moment."""
    backups = system.data_dir.parent / "backups"
    finished = _with_a_finished_batch(system, migrated)
    assert _back_up(system, backups) == 0
    later = _submit_another(system)
    assert _back_up(system, backups) == 0
    earlier, latest = whole_backups(backups)
    system.data_dir.rename(system.data_dir.with_name("lost"))
    # The first file that is copied is the database: nothing is there yet.
    moment = f"{failpoint}:exit:2" if failpoint == "copy.written" else failpoint
    assert _restore(system, latest, failpoint=moment) == EXIT_STATUS
    if (system.data_dir / "batch.db").exists():
        assert statuses(system.data_dir) == {finished: "completed", later: "queued"}
    else:
        assert _restore(system, earlier) == 0
        assert statuses(system.data_dir) == {finished: "completed"}
    finish(system)
    assert set(statuses(system.data_dir).values()) == {"completed"}
    assert not examine_echoes(system.data_dir, finished, FINISHED)
    assert not examine_folder(system.data_dir)


def _with_a_finished_batch(system: ForkedSystem, migrated: Path) -> str:
    with closing(prepared(system, migrated)) as database:
        batch_id = submit(system, database, FINISHED)
    finish(system)
    return batch_id


def _submit_another(system: ForkedSystem) -> str:
    """While a worker lives, whose claims a restore makes void."""
    with closing(Database(system.data_dir / "batch.db")) as database:
        factories.start_worker(database, now=time.time())
        return submit(system, database, UNFINISHED)


def _back_up(system: ForkedSystem, to: Path, *options: str, failpoint: str | None = None) -> int:
    time.sleep(1)  # their names are a second apart
    return _run(system, "batch_app.backup", "--to", str(to), *options, failpoint=failpoint)


def _restore(system: ForkedSystem, backup: Path, failpoint: str | None = None) -> int:
    return _run(system, "batch_app.restore", str(backup), failpoint=failpoint)


def _run(system: ForkedSystem, module: str, *arguments: str, failpoint: str | None) -> int:
    system.failpoint = failpoint
    return int(system.start("-m", module, *arguments).wait())
