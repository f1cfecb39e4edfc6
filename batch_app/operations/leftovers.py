"""What lies in the data folder and nothing refers to: the remains of crashes, to be removed at any time.

Whatever takes its time between a file and the row that names it has an hour. Used by both sides and by the doctor.
"""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from batch_app.database import Database
from batch_app.errors import BatchNotFoundError
from batch_app.settings import Settings
from batch_app.states import FINAL_BATCH_STATES
from batch_app.store import batches, files

_UNNAMED_SECONDS: Final = 3600.0  # an upload or a publication takes less between the file and its row


def find_leftovers(database: Database, settings: Settings, *, now: float) -> list[Path]:
    """Files that no row names, logs of batches that have ended, and temporary files that nobody writes."""
    return [
        *_unnamed_files(database, settings, now=now),
        *_logs_of_ended_batches(database, settings),
        *_old(settings.temp_dir.glob("*"), now),
    ]


def remove(paths: Iterable[Path]) -> None:
    """What is gone already, removed by somebody else, is fine."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _unnamed_files(database: Database, settings: Settings, *, now: float) -> list[Path]:
    """Files that became durable just before a crash, or whose row was deleted, or marked so, just before one."""
    old = _old(settings.files_dir.glob("file-*.jsonl"), now)
    known = files.present_ids(database) if old else set()
    return [path for path in old if path.stem not in known]


def _logs_of_ended_batches(database: Database, settings: Settings) -> Iterator[Path]:
    for folder in settings.work_dir.glob("batch_*"):
        try:
            ended = batches.get_batch(database, batch_id=folder.name).status in FINAL_BATCH_STATES
        except BatchNotFoundError:
            ended = True
        if ended:
            yield folder


def _old(paths: Iterable[Path], now: float) -> list[Path]:
    found = []
    for path in paths:
        with suppress(FileNotFoundError):  # published, or removed, at this moment
            if path.stat().st_mtime < now - _UNNAMED_SECONDS:
                found.append(path)
    return found
