"""Power cuts of a recorded run, many more than the test of the same name has time for."""

import asyncio
import random
import shutil
import tempfile
from pathlib import Path

from batch_app.database import Database
from batch_app.operations.migrate import migrate
from batch_app.settings import Settings
from tests.torture.tally import Tally
from tests.worker.disk import FATES
from tests.worker.power_cuts import (
    Run,
    assert_nothing_seen_is_gone,
    facts_before,
    record_run,
    recover,
    survivors_of,
)


def torment(tally: Tally, *, cuts: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        settings = Settings(data_dir=root / "run", engine="echo", retry_backoff_seconds=0)
        run = asyncio.run(record_run(settings, prepare(root)))
        chance = random.Random(seed)
        for fate in FATES:
            for _ in range(cuts):
                cut_once(tally, run, fate, chance, root / "cut", settings)
            print(f"{cuts} power cuts, unsynced writes {fate}", flush=True)


def prepare(root: Path) -> Path:
    """Two equal data folders, one to run in and one to start from."""
    for folder in ("start", "run"):
        for name in ("files", "work", "tmp"):
            (root / folder / name).mkdir(parents=True)
    database = Database(root / "start" / "batch.db")
    migrate(database)
    database.close()
    shutil.copy(root / "start" / "batch.db", root / "run")
    return root / "start"


def cut_once(
    tally: Tally, run: Run, fate: str, chance: random.Random, root: Path, settings: Settings
) -> None:
    cut, seed = chance.choice(run.cuts()), chance.randrange(2**32)
    row = tally[f"power cut, unsynced writes {fate}"]
    row.times += 1
    try:
        after = asyncio.run(recover(survivors_of(run, cut, fate, seed), root, settings, run))
        assert_nothing_seen_is_gone(facts_before(run, cut), after)
    except (AssertionError, EOFError) as error:
        row.found.damage.append(f"cut {cut} of {len(run.ops)}, {fate}, seed {seed}: {error}")
    shutil.rmtree(root)
