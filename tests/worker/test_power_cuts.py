"""The power fails at any moment of a recorded run: what was seen is still so, and a new worker ends the rest.

The recording has every call on files, SQLite's own included; a model of a disk says what may have survived it.
"""

import asyncio
import shutil
from collections import Counter
from pathlib import Path

import pytest

from batch_app.settings import Settings
from tests.worker.disk import FATES
from tests.worker.power_cuts import (
    Run,
    assert_nothing_seen_is_gone,
    facts_before,
    record_run,
    recover,
    survivors_of,
)

CUTS_OF_EACH_FATE = 12


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
    recorded: Run, settings: Settings, tmp_path: Path, fate: str
) -> None:
    cuts = recorded.cuts()
    for number in range(CUTS_OF_EACH_FATE):
        cut = cuts[(number * 2 + 1) * len(cuts) // (2 * CUTS_OF_EACH_FATE)]
        survivors = survivors_of(recorded, cut, fate, seed=number)
        after = asyncio.run(recover(survivors, tmp_path / str(number), settings, recorded))
        assert_nothing_seen_is_gone(facts_before(recorded, cut), after)
