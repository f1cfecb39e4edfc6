"""Named places between two steps that make something durable, where a test can end this process or make it stand still.

`CRASH_FAILPOINT=NAME` ends the process at the first pass of NAME as a power cut would; `NAME:stop` makes it stand still
there (SIGSTOP), `NAME:exit:3` ends it at the third pass. No setting: an operator has no use for it, so it has no BATCH_
name, and no file can set it. Unset, as it always is outside of tests, a passing costs one comparison.
"""

import os
import re
import signal
import threading
import time
from dataclasses import dataclass
from typing import Final, Literal, get_args

VARIABLE: Final = "CRASH_FAILPOINT"
EXIT_STATUS: Final = 86
# For the other threads to end their transactions: a process that stands still in one keeps all others from writing.
_CALM_SECONDS: Final = 1.0

# Of files: `batch_app.disk.files`, the bytes of a deleted one, and what a backup and a restore write.
Point = Literal[
    "folder.made",
    "file.written",
    "file.synced",
    "file.renamed",
    "file.published",
    "file.removed",
    "log.opened",
    "log.written",
    "log.synced",
    "logs.removed",
    "copy.written",
    "backup.filled",
    "backup.named",
    "backup.discarded",
    "restore.filled",
    "restore.named",
]
# Of the database: every transaction that writes. The answers kept for later batches and the indexes of answers are
# databases of their own: whatever a crash leaves of one, it is made anew, so nothing that is promised hangs on them.
Step = Literal[
    "migrate",
    "look_up_key",
    "accept",
    "fail",
    "cancel",
    "keep_file",
    "delete_file",
    "expire_files",
    "address_events",
    "note_attempt",
    "abandon",
    "forget_batch",
    "forget_files",
    "forget_workers",
    "register_worker",
    "beat",
    "add_sample",
    "revive_worker",
    "release_lost",
    "claim",
    "take",
    "record",
    "note_engine_use",
    "return_lines",
    "return_running",
    "forget_answers",
    "release",
    "begin_finalizing",
    "end",
    "stop_worker",
]
Side = Literal["uncommitted", "committed"]
_ARMING: Final = re.compile(r"(?P<name>[\w.]+)(:(?P<action>exit|stop)(:(?P<pass>\d+))?)?")
NAMES: Final[tuple[str, ...]] = (
    *get_args(Point),
    *(f"{step}.{side}" for step in get_args(Step) for side in get_args(Side)),
)


@dataclass
class _Armed:
    name: str
    action: str
    passes_left: int

    def passed(self, name: str) -> None:
        if name != self.name:
            return
        self.passes_left -= 1
        if self.passes_left == 0 and self.action == "exit":
            os._exit(EXIT_STATUS)
        if self.passes_left == 0:
            time.sleep(_CALM_SECONDS)
            # All threads stand still, and this one at once: one that signals its process may run on for a while.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


_armed: _Armed | None = None


def reach(point: Point) -> None:
    if _armed is not None:
        _armed.passed(point)


def reach_commit(step: Step | None, side: Side) -> None:
    """Just before or just after a transaction's COMMIT."""
    if _armed is not None and step is not None:
        _armed.passed(f"{step}.{side}")


def arm(value: str | None) -> None:
    """NAME[:ACTION[:PASS]], or None for no failpoint. Raises ValueError."""
    global _armed  # noqa: PLW0603  # the one switch of this process
    if not value:
        _armed = None
        return
    match = _ARMING.fullmatch(value)
    if match is None or match["name"] not in NAMES:
        raise ValueError(f"{VARIABLE}={value}: no such failpoint")
    _armed = _Armed(match["name"], match["action"] or "exit", int(match["pass"] or 1))


arm(os.environ.get(VARIABLE))
