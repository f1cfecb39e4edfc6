"""A consistent copy of the data folder while everything runs: `python -m batch_app.backup [--to DIR] [--keep N]`.

The database goes first, through SQLite's online backup; then what that copy names, which never changes once it is
named: published files as they are, answers of unfinished batches up to where the copied ledger says they are
committed. A backup is a data folder itself, and has its name only once it is whole. See restore.py.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pysqlite3 import dbapi2
from sqlalchemy.exc import SQLAlchemyError

from batch_app import __version__
from batch_app.database import Database
from batch_app.disk import failpoints
from batch_app.disk.files import KINDS, make_folder, publish_stream, sha256_of, sync_folder
from batch_app.disk.storage_errors import describe_error
from batch_app.errors import BackupError, BatchAppError
from batch_app.operations.database_copy import copy_database, readable
from batch_app.settings import PROJECT_DIR, Settings, load_settings
from batch_app.store import batches, files, request_reads
from batch_app.store.files import StoredFile

NAME = "batch-*Z"
MANIFEST = "backup.json"
_UNFINISHED = ".part"
_ATTEMPTS = 10
_COPY_BYTES = 1024 * 1024


@dataclass
class Backup:
    """What a backup holds. `linked_bytes` it shares with the one before; `lost` and `damaged` are files that the
    data folder no longer has, or no longer has as they were published. The backup still has them if the one before
    had a good copy."""

    path: Path
    made_at: float
    schema: str | None = None
    version: str = __version__
    files: int = 0
    copied_bytes: int = 0
    linked_bytes: int = 0
    lost: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    def manifest(self) -> str:
        return json.dumps({**asdict(self), "path": self.path.name}, indent=2) + "\n"


def whole_backups(folder: Path) -> list[Path]:
    """The finished backups in a folder, oldest first."""
    return sorted(path for path in folder.glob(NAME) if (path / MANIFEST).is_file())


def make_backup(settings: Settings, *, to: Path, keep: int | None, now: float) -> Backup:
    """One backup more in the folder `to`; of all that are there the newest `keep` stay, all of them if None.

    Raises BackupError, OSError, SQLAlchemyError: then nothing new has a backup's name, and none was removed.
    """
    if not settings.database_path.is_file():
        raise BackupError(f"there is no database at {settings.database_path}: nothing to back up")
    make_folder(to)
    with _alone(to):
        _remove_unfinished(to)
        before = whole_backups(to)
        final = to / f"batch-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}"
        temporary = final.with_suffix(_UNFINISHED)
        temporary.mkdir(mode=0o700)  # prompts and answers
        made = Backup(path=final, made_at=now)
        try:
            _fill(temporary, settings, made, previous=before[-1] if before else None)
            failpoints.reach("backup.filled")
            temporary.rename(final)
            failpoints.reach("backup.named")
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        sync_folder(to)
        if keep is not None:
            for old in whole_backups(to)[:-keep]:
                old.rename(old.with_suffix(_UNFINISHED))
                failpoints.reach("backup.discarded")
            _remove_unfinished(to)
    return made


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """A leftover of a backup that was killed must not be mistaken for one that is being made."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BackupError(f"another backup into {folder} is being made: wait for its end") from None
    finally:
        os.close(descriptor)


def _remove_unfinished(folder: Path) -> None:
    for path in folder.glob(f"batch-*{_UNFINISHED}"):
        shutil.rmtree(path)


def _fill(folder: Path, settings: Settings, made: Backup, *, previous: Path | None) -> None:
    database = Database(settings.database_path)
    try:
        made.lost = _copy_until_complete(database, folder, settings, made, previous)
    finally:
        database.close()
    if settings.models_file.is_file():
        shutil.copyfile(settings.models_file, folder / "models.toml")
    manifest = folder / MANIFEST
    manifest.write_text(made.manifest())
    for path in folder.iterdir():
        if path.is_file():
            _sync(path)
    for path in (folder / "files", folder):
        sync_folder(path)


def _copy_until_complete(
    database: Database, folder: Path, settings: Settings, made: Backup, previous: Path | None
) -> list[str]:
    """A batch that ends, or a file that is deleted, between the copy of the database and that of the files, takes
    away what the copy names: then once more, with a new copy. What two copies name and nobody has is lost for good.
    """
    lost: set[str] = set()
    for _ in range(_ATTEMPTS):
        copy_database(database, folder / "batch.db")
        with readable(folder / "batch.db") as (copy, made.schema):
            missing = _copy_what_it_names(copy, folder, settings, made, previous)
        if missing <= lost:
            return sorted(missing)
        lost = missing
    raise BackupError("files are deleted faster than they can be copied: try again when it is quieter")


def _copy_what_it_names(
    copy: Database, folder: Path, settings: Settings, made: Backup, previous: Path | None
) -> set[str]:
    """Returns what it names and is not there. Logs go first: they vanish when their batch ends."""
    missing = _copy_logs(copy, folder, settings)
    named = files.list_files(copy, limit=None, newest_first=False)
    target = folder / "files"
    target.mkdir(exist_ok=True)
    earlier = _good_copies(previous, named)
    for file in named:
        try:
            _copy_file(file, settings.data_dir / file.path, folder / file.path, made, earlier.get(file.path))
        except FileNotFoundError:
            missing.add(file.path)
    for path in set(target.iterdir()) - {folder / file.path for file in named}:
        path.unlink()  # deleted since an earlier copy of the database
    made.files = len(named)
    return missing


def _copy_logs(copy: Database, folder: Path, settings: Settings) -> set[str]:
    """The logs of every unfinished batch, added up to one: its name says epoch 1, base 0, before any claim to come."""
    missing = set()
    shutil.rmtree(folder / "work", ignore_errors=True)
    for batch in batches.list_open_batches(copy):
        for kind in KINDS:
            end = request_reads.committed_bytes(copy, batch_id=batch.id, kind=kind).end
            if end == 0:
                continue
            final = folder / "work" / batch.id / f"{kind}-000001-0.jsonl"
            temporary = folder / f"{kind}.tmp"
            try:
                publish_stream(settings.work_dir / batch.id, kind, end, temporary=temporary, final=final)
            except (FileNotFoundError, EOFError):
                temporary.unlink(missing_ok=True)
                missing.add(f"work/{batch.id}/{kind}")
    return missing


def _good_copies(previous: Path | None, named: Iterable[StoredFile]) -> dict[str, Path]:
    """What the backup before has of these files. Where it gave a warning, its copy may be the damaged file itself, or
    a good one from earlier: only its bytes tell."""
    if previous is None:
        return {}
    try:
        doubted = set(json.loads((previous / MANIFEST).read_text())["damaged"])
    except (ValueError, KeyError):
        return {}  # a backup without its word
    copies = [(file, previous / file.path) for file in named]
    return {
        file.path: copy
        for file, copy in copies
        if copy.is_file()
        and copy.stat().st_size == file.bytes
        and (file.path not in doubted or sha256_of(copy) == file.sha256)
    }


def _copy_file(file: StoredFile, source: Path, target: Path, made: Backup, earlier: Path | None) -> None:
    """Published files never change, so backups share them where the file system can; but that the data folder still has
    them is looked at each time. Raises FileNotFoundError."""
    if target.exists() or _link(earlier, target, made):
        is_damaged = source.stat().st_size != file.bytes
    else:
        is_damaged = copy_and_hash(source, target) != file.sha256
        made.copied_bytes += file.bytes
    if is_damaged and file.path not in made.damaged:
        made.damaged.append(file.path)


def _link(earlier: Path | None, target: Path, made: Backup) -> bool:
    if earlier is None:
        return False
    try:
        os.link(earlier, target)
    except OSError:  # a file system without links
        return False
    made.linked_bytes += target.stat().st_size
    return True


def copy_and_hash(source: Path, target: Path) -> str:
    """Copy durably; returns the SHA-256 of what was copied. Raises FileNotFoundError."""
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        while piece := reading.read(_COPY_BYTES):
            digest.update(piece)
            writing.write(piece)
        writing.flush()
        failpoints.reach("copy.written")
        os.fsync(writing.fileno())
    return digest.hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m batch_app.backup", description=__doc__)
    parser.add_argument(
        "--to", type=Path, default=PROJECT_DIR / "backups", help="folder that holds the backups"
    )
    parser.add_argument(
        "--keep", type=int, metavar="N", help="remove all but the newest N backups afterwards"
    )
    arguments = parser.parse_args()
    if arguments.keep is not None and arguments.keep < 1:
        parser.error("--keep must be at least 1")
    started = time.monotonic()
    try:
        made = make_backup(load_settings(), to=arguments.to, keep=arguments.keep, now=time.time())
    except (BatchAppError, dbapi2.Error) as error:
        return _complain(str(error))
    except (OSError, SQLAlchemyError) as error:
        return _complain(describe_error(error))
    seconds = time.monotonic() - started
    print(
        f"{made.path}: {made.files} files, {made.copied_bytes / 1e6:.1f} MB copied, "
        f"{made.linked_bytes / 1e6:.1f} MB shared with the backup before, {seconds:.1f} s"
    )
    for name in made.lost:
        print(f"warning: the data folder no longer has {name}, which the database names", file=sys.stderr)
    for name in made.damaged:
        print(f"warning: {name} is not as it was published", file=sys.stderr)
    if not made.lost and not made.damaged:
        return 0
    print("what to do: see 'Backups' in docs/operations.md", file=sys.stderr)
    return 1


def _complain(reason: str) -> int:
    print(f"error: no backup was made: {' '.join(reason.split())}", file=sys.stderr)
    return 1
