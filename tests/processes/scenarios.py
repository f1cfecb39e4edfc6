"""A worker's work without an API, and the failpoints that each process passes."""

import io
import shutil
import time
from pathlib import Path
from typing import Any

from batch_app.api.batch_spec import BatchSpec
from batch_app.api.submission import Submissions
from batch_app.database import Database
from batch_app.disk.failpoints import Step
from batch_app.models import Models
from batch_app.settings import Settings
from batch_app.states import OPEN_BATCH_STATES
from tests.lines import jsonl
from tests.processes.forked import ForkedSystem
from tests.processes.invariants import statuses
from tests.processes.system import MODEL
from tests.waiting import wait_until


def both_sides(*steps: Step) -> list[str]:
    return [f"{step}.{side}" for step in steps for side in ("uncommitted", "committed")]


PUBLICATION = ["folder.made", "file.written", "file.synced", "file.renamed", "file.published"]
OF_WORKER = [
    *PUBLICATION,
    *("log.opened", "log.written", "log.synced", "logs.removed"),
    *both_sides(
        "register_worker",
        "beat",
        "add_sample",
        "release_lost",
        "claim",
        "take",
        "record",
        "return_lines",
        "return_running",
    ),
    *both_sides("begin_finalizing", "end"),
]
OF_MENDING_WORKER = both_sides("forget_answers")
OF_LOST_WORKER = both_sides("note_engine_use", "revive_worker")
OF_STOPPING_WORKER = both_sides("release", "stop_worker")
OF_BACKUP = ["copy.written", "backup.filled", "backup.named", "backup.discarded"]
OF_RESTORE = ["copy.written", "restore.filled", "restore.named"]
OF_API = [
    *PUBLICATION,
    "file.removed",
    *both_sides(
        "migrate", "look_up_key", "accept", "fail", "cancel", "keep_file", "delete_file", "expire_files"
    ),
    *both_sides(
        "address_events", "note_attempt", "abandon", "forget_batch", "forget_files", "forget_workers"
    ),
]


def prepared(system: ForkedSystem, migrated: Path) -> Database:
    system.data_dir.mkdir()
    return Database(Path(shutil.copy(migrated, system.data_dir / "batch.db")))


def submit(system: ForkedSystem, database: Database, lines: list[dict[str, Any]]) -> str:
    """As the API does, without one."""
    settings = Settings(data_dir=system.data_dir, engine="echo")
    submissions = Submissions(database, settings, Models([], allow_unlisted=True), lambda **_: None)
    order = BatchSpec(model=MODEL, filename="input.jsonl")
    return submissions.accept(io.BytesIO(jsonl(lines)), order, now=time.time()).id


def finish(system: ForkedSystem) -> None:
    """If a batch is open another worker takes over, ends every one, and is then stopped."""
    system.failpoint = None
    if _has_open_batches(system):
        worker = system.start_worker()
        wait_for_ends(system)
        assert system.stop(worker) == 0


def wait_for_ends(system: ForkedSystem) -> None:
    wait_until(lambda: not _has_open_batches(system), what="every batch to end", every=0.1)


def _has_open_batches(system: ForkedSystem) -> bool:
    return bool(OPEN_BATCH_STATES & set(statuses(system.data_dir).values()))
