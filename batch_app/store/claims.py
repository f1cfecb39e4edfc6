"""Who works on a batch, and how a batch ends.

A claim is (worker, epoch). Every verb here names the claim in its guard, so a worker that was paused past its lease
changes nothing when it wakes up: its epoch is over.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select, update

from batch_app.database import Database
from batch_app.disk.files import AnswerKind
from batch_app.errors import ClaimLostError, ConflictError
from batch_app.states import BATCH_MOVES, OPEN_BATCH_STATES, BatchStatus, RequestStatus
from batch_app.store.batches import FROZEN_COLUMNS, UNANSWERED
from batch_app.store.durations import keep_durations
from batch_app.store.engine_usage import EngineUsage
from batch_app.store.files import NewFile, insert_file
from batch_app.store.tables import batches, requests, workers
from batch_app.store.webhooks import insert_event


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's right to a batch. The ends are where its answer streams' committed parts ended when it began."""

    batch_id: str
    worker_id: str
    epoch: int
    output_end: int
    error_end: int


def holds(claim: Claim) -> ColumnElement[bool]:
    """The guard: this batch is still this claim's."""
    return and_(
        batches.c.id == claim.batch_id,
        batches.c.worker_id == claim.worker_id,
        batches.c.claim_epoch == claim.epoch,
    )


def require_claim(connection: Connection, claim: Claim) -> None:
    """Inside a write transaction: nobody can take the batch until it ends. Raises ClaimLostError."""
    if connection.execute(select(batches.c.id).where(holds(claim))).one_or_none() is None:
        raise ClaimLostError(f"batch {claim.batch_id} is no longer claimed by {claim.worker_id}")


def claim_batch(
    database: Database, *, batch_id: str, worker_id: str, only_to_end: bool = False, now: float
) -> Claim | None:
    """Take an open batch that nobody works on; None when somebody was faster. A queued one is in progress from now
    on, unless it is taken only to be ended."""
    queued = batches.c.status == BatchStatus.QUEUED
    begun = {
        "status": case((queued, BatchStatus.IN_PROGRESS), else_=batches.c.status),
        "in_progress_at": case((queued, now), else_=batches.c.in_progress_at),
    }
    take = (
        update(batches)
        .where(
            batches.c.id == batch_id,
            batches.c.worker_id.is_(None),
            batches.c.status.in_(OPEN_BATCH_STATES),
        )
        .values(
            worker_id=worker_id,
            claim_epoch=batches.c.claim_epoch + 1,
            **({} if only_to_end else begun),
        )
        .returning(batches.c.claim_epoch)
    )
    with database.write("claim") as connection:
        epoch = connection.execute(take).scalar_one_or_none()
        if epoch is None:
            return None
        ends = {kind: stream_end(connection, batch_id, kind) for kind in ("output", "error")}
    return Claim(batch_id, worker_id, epoch, ends["output"], ends["error"])


def stream_end(connection: Connection, batch_id: str, kind: AnswerKind) -> int:
    """Where the committed part of a batch's answer stream ends."""
    end = func.max(requests.c.answer_offset + requests.c.answer_length)
    query = select(end).where(requests.c.batch_id == batch_id, requests.c.answer_kind == kind)
    return connection.execute(query).scalar_one() or 0


def return_running_lines(connection: Connection, which: ColumnElement[bool]) -> None:
    connection.execute(
        update(requests)
        .where(which, requests.c.status == RequestStatus.RUNNING)
        .values(status=RequestStatus.PENDING, started_at=None)
    )


def release_claim(database: Database, *, claim: Claim) -> None:
    """Give a batch back, its running lines pending. A claim that is lost already needs no release."""
    with database.write("release") as connection:
        if connection.execute(update(batches).where(holds(claim)).values(worker_id=None)).rowcount:
            return_running_lines(connection, requests.c.batch_id == claim.batch_id)


def release_lost_workers(
    database: Database, *, gone: Sequence[str], silent_since: float, except_id: str, now: float
) -> list[str]:
    """Mark workers lost that are known to be `gone` or silent since then, and release what they claimed."""
    lost = (
        update(workers)
        .where(
            workers.c.stopped_at.is_(None),
            workers.c.id != except_id,
            or_(workers.c.id.in_(gone), workers.c.heartbeat_at <= silent_since),
        )
        .values(state="lost", stopped_at=now)
        .returning(workers.c.id)
    )
    with database.write("release_lost") as connection:
        ids = list(connection.execute(lost).scalars())
        # Claims of any worker that is not alive, whatever marked it so: a crash between two steps loses nothing.
        dead = select(workers.c.id).where(workers.c.stopped_at.is_not(None))
        held = list(connection.execute(select(batches.c.id).where(batches.c.worker_id.in_(dead))).scalars())
        if held:
            connection.execute(update(batches).where(batches.c.id.in_(held)).values(worker_id=None))
            return_running_lines(connection, requests.c.batch_id.in_(held))
    return ids


def save_engine_usage(database: Database, *, claim: Claim, use: EngineUsage) -> None:
    """Raises ClaimLostError."""
    with database.write("note_engine_use") as connection:
        require_claim(connection, claim)
        connection.execute(update(batches).where(holds(claim)).values(engine_use=use.as_json()))


def begin_finalizing(database: Database, *, claim: Claim, now: float) -> bool:
    """in_progress -> finalizing, if every line is answered. Raises ClaimLostError."""
    unanswered = select(requests.c.line).where(
        requests.c.batch_id == claim.batch_id, requests.c.status.in_(UNANSWERED)
    )
    move = (
        update(batches)
        .where(holds(claim), batches.c.status == BatchStatus.IN_PROGRESS, ~unanswered.exists())
        .values(status=BatchStatus.FINALIZING, finalizing_at=now)
    )
    with database.write("begin_finalizing") as connection:
        require_claim(connection, claim)
        return bool(connection.execute(move).rowcount)


def end_batch(
    database: Database,
    *,
    claim: Claim,
    status: BatchStatus,
    output: NewFile | None,
    errors: NewFile | None,
    reasons: Iterable[dict[str, Any]] = (),
    use: EngineUsage | None = None,
    now: float,
) -> None:
    """Publish: the files, the frozen counts, the final state and its event become true together; the claim ends.

    Raises ClaimLostError, and ConflictError when the batch is in no state that can end so.
    """
    leaves = [state for state, moves in BATCH_MOVES.items() if status in moves]
    listed = list(reasons)
    with database.write("end") as connection:
        require_claim(connection, claim)
        for file in (output, errors):
            if file is not None:
                insert_file(connection, file, now)
        values: dict[str, Any] = {
            **_frozen_counts(connection, claim.batch_id),
            "status": status,
            f"{status}_at": now,
            "worker_id": None,
            "output_file_id": output.id if output else None,
            "error_file_id": errors.id if errors else None,
            "errors": json.dumps(listed) if listed else None,
            "engine_use": use.as_json() if use and use.seconds else None,
        }
        if not connection.execute(
            update(batches).where(holds(claim), batches.c.status.in_(leaves)).values(values)
        ).rowcount:
            raise ConflictError(f"batch {claim.batch_id} cannot end as {status} from its present state")
        keep_durations(connection, batch_id=claim.batch_id)
        insert_event(connection, batch_id=claim.batch_id, status=status, now=now)


# Which lines got an answer that was computed for another one.
REUSED = {
    "deduplicated": (requests.c.status == RequestStatus.COMPLETED, requests.c.copy_of.is_not(None)),
    "from_cache": (requests.c.status == RequestStatus.COMPLETED, requests.c.from_cache),
}


def _frozen_counts(connection: Connection, batch_id: str) -> dict[str, int]:
    count = {
        f"{status}_requests": func.count().filter(requests.c.status == status)
        for status in ("completed", "failed", "cancelled", "expired")
    }
    count |= {f"{name}_requests": func.count().filter(*which) for name, which in REUSED.items()}
    tokens = {name: func.sum(requests.c[name]) for name in FROZEN_COLUMNS if name.endswith("_tokens")}
    columns = [column.label(name) for name, column in {**count, **tokens}.items()]
    row = connection.execute(select(*columns).where(requests.c.batch_id == batch_id)).one()
    return {name: value or 0 for name, value in row._mapping.items()}
