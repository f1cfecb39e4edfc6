"""Makes a data folder of a backup: `python -m batch_app.restore BACKUP`, into BATCH_DATA_DIR, while nothing runs.

Every file is checked against what the database says of it. The database comes last, so a restore that was cut off
leaves no data folder that looks whole: run it again. Claims of the workers of then are void.
"""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from pysqlite3 import dbapi2
from sqlalchemy.exc import SQLAlchemyError

from batch_app.database import Database
from batch_app.disk import failpoints
from batch_app.disk.files import make_folder, sync_folder
from batch_app.errors import BackupError, BatchAppError
from batch_app.operations.backup import MANIFEST, copy_and_hash
from batch_app.operations.database_copy import require_sound
from batch_app.operations.migrate import Schema, schema_of
from batch_app.settings import Settings, load_settings
from batch_app.store import claims, files, workers


def restore(settings: Settings, *, backup: Path, now: float) -> list[str]:
    """Returns what is missing or damaged in the backup. Raises BackupError, OSError, SQLAlchemyError."""
    if not (backup / MANIFEST).is_file():
        raise BackupError(f"{backup} is no finished backup: it has no {MANIFEST}")
    final, temporary = settings.database_path, settings.temp_dir / "restored.db"
    # With a second name it was not cut off: it had become the database.
    begun = temporary.exists() and temporary.stat().st_nlink == 1
    _require_empty(settings, begun=begun)
    make_folder(settings.temp_dir)
    # Of a restore that was cut off: SQLite would take its log for that of the next one.
    for leftover in settings.temp_dir.glob(f"{temporary.name}*"):
        leftover.unlink()
    copy_and_hash(backup / "batch.db", temporary)
    require_sound(temporary)
    database = Database(temporary)
    try:
        _void_claims(database, now=now)
        problems = _copy_files(database, backup, settings)
    finally:
        database.close()
    _copy_logs(backup, settings)
    failpoints.reach("restore.filled")
    os.link(temporary, final)  # unlike a rename, it replaces nothing
    failpoints.reach("restore.named")
    temporary.unlink()
    sync_folder(settings.data_dir)
    return problems


def _require_empty(settings: Settings, *, begun: bool) -> None:
    """Raises BackupError. `begun`: a restore that was cut off left what is there, save a database."""
    data, final = settings.data_dir, settings.database_path
    if any(final.parent.glob(f"{final.name}*")):  # also a log that is left alone
        raise BackupError(f"{data} holds a database already: stop everything and move that folder away first")
    for folder in (settings.work_dir, settings.index_dir):
        if not begun and folder.is_dir() and any(folder.iterdir()):
            raise BackupError(f"{folder} is of another history: move all of {data} away first")


def _void_claims(database: Database, *, now: float) -> None:
    """The workers of then know nothing of this copy, though one of them may be alive on this machine."""
    if schema_of(database) is Schema.CURRENT:
        gone = [worker.id for worker in workers.living_workers(database)]
        claims.release_lost_workers(database, gone=gone, silent_since=0, except_id="", now=now)


def _copy_files(database: Database, backup: Path, settings: Settings) -> list[str]:
    make_folder(settings.files_dir)
    problems = []
    for file in files.list_files(database, limit=None, newest_first=False):
        try:
            digest = copy_and_hash(backup / file.path, settings.data_dir / file.path)
        except FileNotFoundError:
            problems.append(f"{file.path} is missing")
            continue
        if digest != file.sha256:
            problems.append(f"{file.path} is damaged")
    sync_folder(settings.files_dir)
    return problems


def _copy_logs(backup: Path, settings: Settings) -> None:
    if settings.work_dir.exists():  # of a restore that was cut off, and maybe was of another backup
        shutil.rmtree(settings.work_dir)
    for log in (backup / "work").glob("*/*.jsonl"):
        target = settings.work_dir / log.parent.name / log.name
        make_folder(target.parent)
        copy_and_hash(log, target)
        sync_folder(target.parent)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m batch_app.restore", description=__doc__)
    parser.add_argument("backup", type=Path, help="a folder that `make backup` has made")
    arguments = parser.parse_args()
    try:
        settings = load_settings()
        problems = restore(settings, backup=arguments.backup, now=time.time())
    except (BatchAppError, OSError, SQLAlchemyError, dbapi2.Error) as error:
        print(f"error: nothing was restored: {error}", file=sys.stderr)
        return 1
    print(
        f"{settings.data_dir} is as it was when {arguments.backup.name} was made; `make start` goes on from there"
    )
    if (arguments.backup / "models.toml").is_file():
        print(f"the models file of then is {arguments.backup / 'models.toml'}")
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    return 1 if problems else 0
