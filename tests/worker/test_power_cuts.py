"""The power fails at any moment of a recorded run: what was seen is still so, and a new worker ends the rest.

The recording has every call on files, SQLite's own included; a model of a disk says what may have survived it.
"""

import asyncio
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from batch_app.settings import Settings
from batch_app.store import request_writes
from tests.worker import disk
from tests.worker.disk import FATES
from tests.worker.power_cuts import (
    Run,
    assert_nothing_seen_is_gone,
    cuts_of,
    facts_before,
    record_run,
    recover,
    survivors_of,
)

CUTS_OF_EACH_FATE, CUTS_OF_EACH_SPOILING = 12, 8


@pytest.fixture(scope="module")
def recorded(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("recorded")
    for folder in ("start", "run"):
        for name in ("files", "work", "tmp"):
            (root / folder / name).mkdir(parents=True)
        shutil.copy(migrated, root / folder / "batch.db")
    settings = Settings(data_dir=root / "run", engine="echo", retry_backoff_seconds=0)
    return asyncio.run(record_run(settings, root / "start"))


def test_the_recording_has_what_matters(recorded: Run) -> None:
    done = Counter((op.kind, op.path.partition("/")[0]) for op in recorded.ops)
    for call in (
        ("sync", "batch.db"),
        ("sync", "batch.db-wal"),
        ("sync", "work"),
        ("sync", "tmp"),
        ("rename", "tmp"),
    ):
        assert done[call] >= 2, f"{call} is not among {done}"
    assert done["sync_folder", "files"] >= 3
    assert facts_before(recorded, len(recorded.ops)).keys() == recorded.sent.keys()


@pytest.mark.parametrize("fate", FATES)
def test_what_was_seen_before_a_power_cut_is_so_after_it(
    recorded: Run, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fate: str
) -> None:
    monkeypatch.setattr(request_writes, "requeue_answers", _must_not_be_needed)
    for number, cut in enumerate(cuts_of(recorded, CUTS_OF_EACH_FATE)):
        survivors = survivors_of(recorded, cut, fate, seed=number)
        after = asyncio.run(recover(survivors, tmp_path / str(number), settings, recorded))
        assert_nothing_seen_is_gone(facts_before(recorded, cut), after)


def _must_not_be_needed(*_: object, **__: object) -> None:
    raise AssertionError("an answer was in the ledger and not on the disk")


@pytest.mark.parametrize("spoiled", ["log", "database's log"])
@pytest.mark.parametrize("spoil", [disk.cut, disk.zeroed])
def test_a_disk_that_lost_the_end_of_a_log_though_it_said_it_had_synced_it_costs_no_line(
    recorded: Run, settings: Settings, tmp_path: Path, spoiled: str, spoil: Callable[[bytes], bytes]
) -> None:
    pattern = re.compile("batch.db-wal" if spoiled == "database's log" else "work/.*/(output|error)-.*")
    for number, cut in enumerate(cuts_of(recorded, CUTS_OF_EACH_SPOILING)):
        survivors = survivors_of(recorded, cut, "kept", seed=number)
        for name in survivors:
            if pattern.fullmatch(name):
                survivors[name] = spoil(survivors[name])
        asyncio.run(recover(survivors, tmp_path / str(number), settings, recorded))
