"""A backup that has a backup's name is whole: what its database names is in it, whatever happened meanwhile."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command

from batch_app.database import Database
from batch_app.disk import failpoints
from batch_app.disk.files import publish_stream
from batch_app.errors import BackupError
from batch_app.operations import backup
from batch_app.operations.backup import Backup, make_backup, whole_backups
from batch_app.operations.migrate import _config, current_revision
from batch_app.operations.restore import main as restore_main
from batch_app.operations.restore import restore
from batch_app.settings import Settings
from batch_app.store import files, vacuum
from tests.api.served import Api

NOW = 1_700_000_000.0
DAY = 24 * 3600
RestoredApi = Callable[[Backup], Api]


def back_up(settings: Settings, *, day: int = 0, keep: int | None = None) -> Backup:
    return make_backup(settings, to=settings.data_dir.parent / "backups", keep=keep, now=NOW + day * DAY)


def restored(settings: Settings, made: Backup) -> Settings:
    """The settings of a data folder made of a backup; nothing in it is missing or damaged."""
    other = settings.model_copy(update={"data_dir": settings.data_dir.parent / "restored"})
    assert restore(other, backup=made.path, now=NOW) == []
    return other


@pytest.fixture
def other_api(settings: Settings) -> Iterator[RestoredApi]:
    """Starts an API on a restored data folder."""
    made: list[Api] = []

    def start(of: Backup) -> Api:
        made.append(Api(restored(settings, of)))
        return made[-1]

    yield start
    for api in made:
        api.close()


def test_a_restored_backup_has_every_finished_answer_and_finishes_the_rest(
    api: Api, other_api: RestoredApi
) -> None:
    finished = api.finished(5)
    unfinished = api.accepted(7)
    api.work(answers=3)

    other = other_api(back_up(api.settings))

    assert other.results(finished) == api.results(finished)
    assert other.batch(unfinished)["request_counts"]["completed"] == 3
    other.work()
    assert other.batch(unfinished)["status"] == "completed"
    assert sorted(line["custom_id"] for line in other.results(unfinished)) == [
        f"candidate-{i}" for i in range(7)
    ]


def test_answers_that_came_before_the_backup_keep_their_place_in_the_stream(
    api: Api, other_api: RestoredApi
) -> None:
    batch_id = api.accepted(7)
    api.work(answers=2)
    api.work(answers=2)  # another claim, another log

    other = other_api(back_up(api.settings))

    seen = api.results(batch_id)
    assert other.results(batch_id) == seen
    other.work()
    assert other.results(batch_id)[:4] == seen


def test_bytes_that_the_ledger_does_not_know_are_not_in_the_copy(api: Api) -> None:
    batch_id = api.accepted(5)
    api.work(answers=2)
    [log] = (api.settings.work_dir / batch_id).glob("output-*")
    committed = log.read_bytes()
    with log.open("ab") as appended:
        appended.write(b'{"custom_id": "not recorded"}\n')

    made = back_up(api.settings)

    [copy] = (made.path / "work" / batch_id).iterdir()
    assert copy.read_bytes() == committed


def test_a_batch_that_ends_while_its_logs_are_copied_is_copied_as_ended(
    api: Api, other_api: RestoredApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = api.accepted(5)
    api.work(answers=2)
    ended = []

    def late(*arguments: Any, **options: Any) -> Any:
        if not ended:
            ended.append(True)
            api.work()  # the copied ledger says in progress, and the logs are gone
        return publish_stream(*arguments, **options)

    monkeypatch.setattr(backup, "publish_stream", late)
    made = back_up(api.settings)

    assert made.lost == []
    assert other_api(made).batch(batch_id)["status"] == "completed"


def test_a_file_deleted_while_it_is_copied_is_not_missed(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = api.finished(5)
    file_id = api.batch(batch_id)["input_file_id"]
    copy = backup.copy_and_hash
    deleted = []

    def late(source: Path, target: Path) -> str:
        if not deleted:
            deleted.append(api.delete(f"/v1/files/{file_id}"))
        return copy(source, target)

    monkeypatch.setattr(backup, "copy_and_hash", late)
    made = back_up(api.settings)

    assert (deleted[0].status_code, made.lost) == (200, [])
    assert not list(made.path.rglob(f"{file_id}*"))


def test_a_file_that_the_data_folder_has_lost_is_named_and_costs_nothing_else(api: Api) -> None:
    batch_id = api.finished(5)
    lost = api.batch(batch_id)["output_file_id"]
    (api.settings.files_dir / f"{lost}.jsonl").unlink()

    made = back_up(api.settings)

    assert made.lost == [f"files/{lost}.jsonl"]
    assert json.loads((made.path / "backup.json").read_text())["lost"] == made.lost
    other = api.settings.model_copy(update={"data_dir": api.settings.data_dir.parent / "restored"})
    assert restore(other, backup=made.path, now=NOW) == [f"files/{lost}.jsonl is missing"]


def output_of(api: Api, batch_id: str) -> Path:
    """Relative to the data folder, and to a backup."""
    return Path("files", f"{api.batch(batch_id)['output_file_id']}.jsonl")


def test_a_file_that_was_damaged_and_is_mended_is_good_in_the_next_backup(api: Api) -> None:
    name = output_of(api, api.finished(5))
    path = api.settings.data_dir / name
    good = path.read_bytes()
    path.write_bytes(bytes(len(good)))
    assert back_up(api.settings).damaged == [str(name)]
    assert back_up(api.settings, day=1).damaged == [str(name)], "as long as it is"

    path.write_bytes(good)
    mended = [back_up(api.settings, day=day, keep=1) for day in (2, 3)]

    assert [made.damaged for made in mended] == [[], []]
    assert (mended[-1].path / name).read_bytes() == good


@pytest.mark.parametrize("what", ["lost", "damaged"])
def test_what_the_data_folder_loses_after_a_backup_is_named_each_night_and_stays_in_all_that_follow(
    api: Api, what: str
) -> None:
    name = output_of(api, api.finished(5))
    path = api.settings.data_dir / name
    good = path.read_bytes()
    back_up(api.settings)
    if what == "lost":
        path.unlink()
    else:
        path.write_bytes(good[:-1])

    nights = [back_up(api.settings, day=day, keep=1) for day in (1, 2, 3)]

    assert [getattr(made, what) for made in nights] == [[str(name)]] * 3
    assert (nights[-1].path / name).read_bytes() == good
    restored(api.settings, nights[-1])


def test_a_backup_whose_own_word_is_damaged_shares_nothing_and_ends_no_backup(api: Api) -> None:
    name = output_of(api, api.finished(5))
    first = back_up(api.settings)
    (first.path / "backup.json").write_bytes(bytes(10))
    second = back_up(api.settings, day=1)
    assert (second.linked_bytes, second.lost, second.damaged) == (0, [], [])
    assert (second.path / name).read_bytes() == (api.settings.data_dir / name).read_bytes()


def test_a_backup_that_fails_leaves_no_trace_and_the_old_ones_stay(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = back_up(api.settings)
    api.finished(5)

    def full(_source: Path, _target: Path) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "copy_and_hash", full)
    with pytest.raises(OSError, match="No space"):
        back_up(api.settings, day=1, keep=1)
    assert list(old.path.parent.iterdir()) == [old.path]


def test_what_a_killed_backup_left_is_no_backup_and_goes_with_the_next(api: Api) -> None:
    killed = back_up(api.settings)
    killed.path.rename(killed.path.with_suffix(".part"))
    assert whole_backups(killed.path.parent) == []
    made = back_up(api.settings, day=1)
    assert list(made.path.parent.iterdir()) == [made.path]


def test_only_as_many_backups_stay_as_were_asked_for(api: Api) -> None:
    made = [back_up(api.settings, day=day).path for day in range(4)]
    assert whole_backups(made[0].parent) == made
    newest = back_up(api.settings, day=4, keep=2).path
    assert whole_backups(newest.parent) == [made[-1], newest]


def test_the_second_backup_shares_the_files_of_the_first(api: Api) -> None:
    batch_id = api.finished(5)
    first = back_up(api.settings)
    second = back_up(api.settings, day=1)

    name = f"files/{api.batch(batch_id)['output_file_id']}.jsonl"
    assert (first.linked_bytes, second.copied_bytes) == (0, 0)
    assert (first.path / name).stat().st_ino == (second.path / name).stat().st_ino
    assert (first.path / name).stat().st_ino != (api.settings.data_dir / name).stat().st_ino


def test_two_backups_at_once_are_refused(api: Api) -> None:
    folder = api.settings.data_dir.parent / "backups"
    folder.mkdir()
    with backup._alone(folder), pytest.raises(BackupError, match="another backup"):
        back_up(api.settings)


def test_without_a_database_there_is_nothing_to_back_up(settings: Settings) -> None:
    with pytest.raises(BackupError, match="no database"):
        back_up(settings)
    assert not settings.data_dir.exists()


def test_a_restore_never_touches_a_data_folder_in_use(api: Api) -> None:
    made = back_up(api.settings)
    before = api.stored()
    with pytest.raises(BackupError, match="already"):
        restore(api.settings, backup=made.path, now=NOW)
    assert api.stored() == before


def test_a_restore_takes_no_log_that_another_database_left(api: Api, tmp_path: Path) -> None:
    made = back_up(api.settings)
    elsewhere = Settings(data_dir=tmp_path / "elsewhere")
    elsewhere.data_dir.mkdir()
    log = elsewhere.data_dir / "batch.db-wal"
    log.write_bytes(b"of another database")
    with pytest.raises(BackupError, match="already"):
        restore(elsewhere, backup=made.path, now=NOW)
    log.unlink()
    assert restore(elsewhere, backup=made.path, now=NOW) == []


@pytest.mark.parametrize("left", ["work", "index"])
def test_a_restore_takes_no_answers_that_another_database_left(api: Api, left: str) -> None:
    batch_id = api.accepted(9)
    api.work(answers=3)
    made = back_up(api.settings)
    api.work(answers=3)  # more than the backup knows of
    api.app.state.context.indexes.complete(batch_id)
    elsewhere = api.settings.model_copy(update={"data_dir": api.settings.data_dir.parent / "elsewhere"})
    shutil.copytree(api.settings.data_dir / left, elsewhere.data_dir / left)

    with pytest.raises(BackupError, match=f"{left} is of another history: move all of {elsewhere.data_dir}"):
        restore(elsewhere, backup=made.path, now=NOW)
    assert list((elsewhere.data_dir / left).iterdir())
    shutil.rmtree(elsewhere.data_dir / left)
    assert restore(elsewhere, backup=made.path, now=NOW) == []


def test_a_restore_that_was_cut_off_leaves_no_answers_to_one_of_an_earlier_backup(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CutOffError(Exception):
        pass

    def cut_off(point: str) -> None:
        if point == "restore.filled":
            raise CutOffError

    api.accepted(9)
    earlier = back_up(api.settings)
    api.work(answers=3)
    later = back_up(api.settings, day=1)
    other = api.settings.model_copy(update={"data_dir": api.settings.data_dir.parent / "restored"})
    with monkeypatch.context() as power:
        power.setattr(failpoints, "reach", cut_off)
        with pytest.raises(CutOffError):
            restore(other, backup=later.path, now=NOW)
    assert list(other.work_dir.rglob("*.jsonl"))

    assert restore(other, backup=earlier.path, now=NOW) == []
    assert not list(other.work_dir.rglob("*.jsonl"))


def test_a_damaged_file_in_a_backup_is_named_when_it_is_restored(api: Api) -> None:
    batch_id = api.finished(5)
    made = back_up(api.settings)
    name = f"files/{api.batch(batch_id)['output_file_id']}.jsonl"
    path = made.path / name
    path.write_bytes(path.read_bytes().replace(b"candidate-1", b"candidate-x"))
    other = api.settings.model_copy(update={"data_dir": api.settings.data_dir.parent / "restored"})
    assert restore(other, backup=made.path, now=NOW) == [f"{name} is damaged"]


def test_a_folder_that_is_no_finished_backup_is_refused(api: Api, tmp_path: Path) -> None:
    made = back_up(api.settings)
    (made.path / "backup.json").unlink()
    other = api.settings.model_copy(update={"data_dir": tmp_path / "restored"})
    with pytest.raises(BackupError, match="no finished backup"):
        restore(other, backup=made.path, now=NOW)
    assert not other.data_dir.exists()


def test_a_damaged_database_is_not_backed_up_as_if_it_were_sound(api: Api) -> None:
    api.finished(5)
    with api.database.read() as connection:  # a page that nothing else in a backup reads
        page = "SELECT rootpage FROM sqlite_master WHERE name = 'ix_dead_letters_last_failed_at'"
        offset = (connection.exec_driver_sql(page).scalar_one() - 1) * 4096
    vacuum.truncate_wal(api.database, limit_bytes=0)
    with api.settings.database_path.open("r+b") as database:
        database.seek(offset)
        database.write(b"\xff" * 2048)
    good = api.settings.data_dir.parent / "backups"
    with pytest.raises(BackupError, match="the database is damaged"):
        back_up(api.settings)
    assert list(good.iterdir()) == []


def test_a_restored_database_belongs_to_no_worker(api: Api, settings: Settings) -> None:
    batch_id = api.accepted(5)
    api.work(answers=2)
    assert api.batch(batch_id)["progress"]["running"] > 0
    other = restored(settings, back_up(settings))
    database = Database(other.database_path)
    with database.read() as connection:
        claimed = connection.exec_driver_sql("SELECT count(*) FROM batches WHERE worker_id IS NOT NULL")
        assert claimed.scalar_one() == 0
    assert len(files.list_files(database, limit=None, newest_first=True)) == 1
    database.close()


def test_a_database_of_an_older_version_is_backed_up_as_it_is(settings: Settings) -> None:
    database = Database(settings.database_path)
    config = _config()
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO files (id, purpose, filename, bytes, sha256, path, created_at)"
            f" VALUES ('file-1', 'batch', 'in.jsonl', 2, '{hashlib.sha256(b'{}').hexdigest()}', 'files/a.jsonl', 0)"
        )
    database.close()
    settings.files_dir.mkdir()
    (settings.files_dir / "a.jsonl").write_bytes(b"{}")

    made = back_up(settings)

    assert (made.schema, made.files, made.lost) == ("0001", 1, [])
    copy = Database(restored(settings, made).database_path)
    assert current_revision(copy) == "0001"
    copy.close()


def test_a_database_of_a_newer_version_is_refused_in_words(api: Api) -> None:
    with api.database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(BackupError, match="newer version"):
        back_up(api.settings)


def test_the_commands_say_what_they_did_and_what_is_wrong(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BATCH_DATA_DIR", str(api.settings.data_dir))
    folder = api.settings.data_dir.parent / "backups"
    monkeypatch.setattr("sys.argv", ["backup", "--to", str(folder), "--keep", "3"])
    assert backup.main() == 0
    [made] = whole_backups(folder)
    assert f"{made}: 0 files" in capsys.readouterr().out

    monkeypatch.setattr("sys.argv", ["restore", str(made)])
    assert restore_main() == 1
    assert "holds a database already" in capsys.readouterr().err

    monkeypatch.setenv("BATCH_DATA_DIR", str(folder.parent / "restored"))
    assert restore_main() == 0
    assert "make start" in capsys.readouterr().out
    assert (folder.parent / "restored" / "batch.db").is_file()
