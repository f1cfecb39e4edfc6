"""How a batch ends: every line gets an end, the answers become files, and one transaction publishes them.

Each step can be done again after a crash and comes out the same, so an end that was begun is simply begun anew.
"""

import logging
from dataclasses import dataclass

from batch_app import ids
from batch_app.database import Database
from batch_app.disk.files import AnswerKind, publish_stream, remove_folder
from batch_app.processing.answer_recorder import append, flush
from batch_app.processing.claimed_batch import ClaimedBatch
from batch_app.processing.outcomes import give_up
from batch_app.settings import Settings
from batch_app.states import BatchStatus, RequestStatus
from batch_app.store import claims, request_reads, request_writes
from batch_app.store.files import NewFile

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a batch ends, and what its unanswered lines are told."""

    status: BatchStatus
    line_status: RequestStatus
    code: str
    message: str


COMPLETED = Verdict(BatchStatus.COMPLETED, RequestStatus.FAILED, "", "")
CANCELLED = Verdict(
    BatchStatus.CANCELLED,
    RequestStatus.CANCELLED,
    "batch_cancelled",
    "This request was not executed because the batch was cancelled.",
)
EXPIRED = Verdict(
    BatchStatus.EXPIRED,
    RequestStatus.EXPIRED,
    "batch_expired",
    "This request could not be executed before the completion window expired.",
)


def failed(code: str, message: str) -> Verdict:
    """The batch as a whole cannot be worked on, and why."""
    return Verdict(BatchStatus.FAILED, RequestStatus.FAILED, code, message)


def complete(database: Database, settings: Settings, run: ClaimedBatch, *, now: float) -> bool:
    """End a batch whose lines are all answered; False when one is not. Raises ClaimLostError."""
    finalizing = run.batch.status is BatchStatus.FINALIZING
    if not finalizing and not claims.begin_finalizing(database, claim=run.claim, now=now):
        return False
    _publish(database, settings, run, COMPLETED, now=now)
    return True


def cut_short(
    database: Database, settings: Settings, run: ClaimedBatch, verdict: Verdict, *, now: float
) -> None:
    """End a batch before its lines are all answered. Raises ClaimLostError, ConflictError."""
    flush(database, run, now=now)
    request_writes.return_running_requests(database, claim=run.claim)
    while lines := request_writes.fetch_unanswered(database, claim=run.claim, limit=settings.chunk_size):
        settled = [
            give_up(run.id, line, code=verdict.code, message=verdict.message, status=verdict.line_status)
            for line in lines
        ]
        append(run, settled)
        flush(database, run, now=now)
    _publish(database, settings, run, verdict, now=now)


def _publish(
    database: Database, settings: Settings, run: ClaimedBatch, verdict: Verdict, *, now: float
) -> None:
    reason = {"code": verdict.code, "message": verdict.message, "param": None, "line": None}
    claims.end_batch(
        database,
        claim=run.claim,
        status=verdict.status,
        output=_publish_kind(database, settings, run, "output", now=now),
        errors=_publish_kind(database, settings, run, "error", now=now),
        reasons=[reason] if verdict.status is BatchStatus.FAILED else [],
        use=run.utilisation.use,
        now=now,
    )
    remove_folder(run.work_folder)
    log.info("batch_ended", extra={"batch_id": run.id, "status": str(verdict.status), "code": verdict.code})


def _publish_kind(
    database: Database, settings: Settings, run: ClaimedBatch, kind: AnswerKind, *, now: float
) -> NewFile | None:
    end = request_reads.committed_bytes(database, batch_id=run.id, kind=kind).end
    if end == 0:
        return None
    # Every try of this claim makes the same file anew: a database that refuses must not fill the disk with copies.
    file_id = run.file_ids.setdefault(kind, ids.new_file_id())
    published = publish_stream(
        run.work_folder,
        kind,
        end,
        temporary=settings.temp_dir / f"{file_id}.part",
        final=settings.files_dir / f"{file_id}.jsonl",
    )
    return NewFile(
        id=file_id,
        purpose="batch_output",
        filename=f"{run.id}_{kind}.jsonl",
        bytes=published.bytes,
        sha256=published.sha256,
        path=str(published.path.relative_to(settings.data_dir)),
        expires_at=now + lifetime if (lifetime := run.batch.output_expires_after_seconds) else None,
    )
