"""A claimed batch in the worker's hands: its open files, the lines at hand, and the answers not yet recorded.

Everything here is rebuilt from the ledger after a crash; nothing in it is the truth about anything.
"""

import asyncio
import os
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from batch_app.disk.files import KINDS, AnswerKind, AnswerLog, Place
from batch_app.inference.engine import EngineAnswer
from batch_app.processing.constraint_failures import ConstraintFailures
from batch_app.processing.engine_usage import EngineUsageMeter
from batch_app.states import BatchStatus
from batch_app.store.batches import Batch
from batch_app.store.claims import Claim
from batch_app.store.request_writes import FetchedRequest, Outcome, ScheduledRetry


@dataclass(frozen=True, slots=True)
class ArrivedAnswer:
    """An answer as it came back from the engine."""

    line: FetchedRequest
    answer: EngineAnswer
    started_at: float


@dataclass
class LoggedAnswers:
    """Answers that are in the logs already and wait for the ledger: appended once, recorded until it works."""

    outcomes: list[tuple[Outcome, Place]] = field(default_factory=list)
    postponements: list[ScheduledRetry] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.outcomes) + len(self.postponements)


class ClaimedBatch:
    """Opened by a claim, closed when the batch ends, is given back or is lost."""

    def __init__(self, batch: Batch, claim: Claim, *, source: Path, work_folder: Path) -> None:
        self.batch, self.claim = batch, claim
        self.work_folder = work_folder
        self.ready: deque[FetchedRequest] = deque()
        self.suspect: FetchedRequest | None = None  # at hand as well, to be alone with the engine
        self.in_flight: dict[int, asyncio.Task[None]] = {}
        self.arrived: list[ArrivedAnswer] = []
        self.convicted: list[FetchedRequest] = []  # killed the engine alone; given up with the next recording
        self.fallen: list[int] = []  # in flight when the engine died; the ledger still says they run
        self.is_blamed = False  # whether one of the fallen may have killed it
        self.is_cut_short = False  # whatever becomes of its lines, it will not be completed
        self.unrecorded = LoggedAnswers()
        self.utilisation = EngineUsageMeter(batch.engine_use)
        self.constraints = ConstraintFailures()
        self.file_ids: dict[AnswerKind, str] = {}  # of the files that it ends in, once it tried to end
        self.troubles: dict[str, str] = {}  # what cannot be done for it at present, and why
        self.last_fed = 0  # the feeder's count when it last took a line from here
        self.refill_at = 0.0  # no sooner: the ledger had no line to give
        self.end_at = 0.0  # no sooner: a line was still without an answer
        self._source_path = source
        self._source: int | None = None
        ends: dict[AnswerKind, int] = {"output": claim.output_end, "error": claim.error_end}
        self.logs = {kind: AnswerLog(work_folder, kind, epoch=claim.epoch, base=ends[kind]) for kind in KINDS}

    @property
    def id(self) -> str:
        return self.batch.id

    @property
    def held(self) -> int:
        """Requests that take up room in the window: in flight, or the ledger does not know yet what became of them."""
        unknown = len(self.fallen) + len(self.arrived) + len(self.convicted) + len(self.unrecorded)
        return len(self.in_flight) + unknown

    def is_to_be_fed_to(self, model: str) -> bool:
        """Whether this model is to answer its lines. A run may be open only to be ended, whatever model is loaded."""
        is_wanted = self.batch.status is BatchStatus.IN_PROGRESS and not self.is_cut_short
        return is_wanted and self.batch.served_model == model

    @property
    def is_drained(self) -> bool:
        return not self.ready and self.suspect is None and self.held == 0

    def read_line(self, line: FetchedRequest) -> bytes:
        """Raises OSError when the input file is gone; that is then each line's own error."""
        if self._source is None:
            self._source = os.open(self._source_path, os.O_RDONLY)
        return os.pread(self._source, line.input_length, line.input_offset)

    def fall(self, *, convicted: FetchedRequest | None, blame: bool) -> None:
        """The engine died: what was in flight is to go back, suspect if there is blame to give. A line that was alone
        with the engine is `convicted`."""
        lines = self.abandon_in_flight()
        if convicted is not None:
            self.convicted.append(convicted)
            lines.remove(convicted.line)
        self.fallen.extend(lines)
        self.is_blamed = self.is_blamed or blame
        self.refill_at = self.end_at = 0.0

    def abandon_in_flight(self) -> list[int]:
        """Stop waiting for the answers in flight; the engine aborts them. Returns their lines."""
        lines = list(self.in_flight)
        for task in self.in_flight.values():
            task.cancel()
        self.in_flight.clear()
        return lines

    def close(self) -> None:
        self.abandon_in_flight()
        if self._source is not None:
            os.close(self._source)
            self._source = None
        for log in self.logs.values():
            log.close()
