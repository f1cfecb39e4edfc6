"""Puts the database into a state with the verbs that the system itself uses, and reads what it then says.

Lines get invented places for their answers; only tests of `files` and of the worker write real ones.
"""

from typing import Any

from sqlalchemy import select

from batch_app import ids
from batch_app.database import Database
from batch_app.disk.files import AnswerKind, Place
from batch_app.input.scan import ScannedRequest
from batch_app.states import BatchStatus, RequestStatus
from batch_app.store import batch_insert, batches, claims, request_writes, workers
from batch_app.store.admission import QueueLimits
from batch_app.store.batch_insert import NewBatch
from batch_app.store.batches import Batch
from batch_app.store.claims import Claim
from batch_app.store.files import NewFile
from batch_app.store.request_reads import committed_bytes
from batch_app.store.request_writes import FetchedRequest, Outcome, ScheduledRetry
from batch_app.store.tables import metadata

NOW = 1_700_000_000.0
ROOM = QueueLimits(max_active_batches=1_000, max_queued_requests=1_000_000)
ANSWER_BYTES = 10


def new_batch(**fields: Any) -> NewBatch:
    """A batch about to be accepted; keyword arguments replace its fields."""
    defaults = {
        "id": ids.new_batch_id(),
        "dialect": "openai",
        "model": "tiny",
        "served_model": "tiny",
        "endpoint": "/v1/chat/completions",
        "input_file_id": ids.new_file_id(),
    }
    return NewBatch(**{**defaults, **fields})


def new_file(**fields: Any) -> NewFile:
    file_id = fields.get("id", ids.new_file_id())
    defaults = {"purpose": "batch", "filename": "in.jsonl", "bytes": 300, "sha256": "0" * 64}
    return NewFile(**{"id": file_id, "path": f"files/{file_id}.jsonl", **defaults, **fields})


def input_lines(count: int) -> list[ScannedRequest]:
    """Lines 1 … `count` of a file whose lines are 100 bytes long."""
    return [ScannedRequest(line, f"candidate-{line}", (line - 1) * 100, 99) for line in range(1, count + 1)]


def accept(
    database: Database, *, lines: int = 3, limits: QueueLimits = ROOM, now: float = NOW, **fields: Any
) -> Batch:
    """A queued batch, its input file with it; keyword arguments are fields of NewBatch."""
    batch = new_batch(**fields)
    file = new_file(id=batch.input_file_id)
    accepted = input_lines(lines)
    return batch_insert.accept_batch(database, batch=batch, file=file, lines=accepted, limits=limits, now=now)


def start_worker(database: Database, *, now: float = NOW, **fields: Any) -> str:
    """A worker that has just started; returns its id."""
    defaults = {"worker_id": ids.new_worker_id(), "host": "elsewhere", "pid": 1, "process_started_at": now}
    facts = {**defaults, "engine": "echo", "now": now, **fields}
    workers.register_worker(database, **facts)
    return str(facts["worker_id"])


def claim(database: Database, batch: Batch, *, worker_id: str | None = None, now: float = NOW) -> Claim:
    """The batch in the hands of a worker, a new one unless one is named."""
    worker_id = worker_id or start_worker(database, now=now)
    claimed = claims.claim_batch(database, batch_id=batch.id, worker_id=worker_id, now=now)
    assert claimed is not None, f"{batch.id} could not be claimed"
    return claimed


def lose(database: Database, lost: Claim, *, now: float = NOW) -> None:
    """The claim's worker is found dead and its claims are released."""
    claims.release_lost_workers(database, gone=[lost.worker_id], silent_since=0, except_id="", now=now)


def take(database: Database, held: Claim, *, limit: int = 1_000, now: float = NOW) -> list[FetchedRequest]:
    return request_writes.fetch_requests(
        database, claim=held, limit=limit, below_engine_deaths=2, longest_backoff_seconds=300, now=now
    )


def take_suspect(
    database: Database, held: Claim, *, from_engine_deaths: int = 2, now: float = NOW
) -> FetchedRequest | None:
    return request_writes.fetch_suspect(
        database, claim=held, from_engine_deaths=from_engine_deaths, longest_backoff_seconds=300, now=now
    )


def outcome(line: int, *, status: RequestStatus = RequestStatus.COMPLETED, **fields: Any) -> Outcome:
    defaults = {"custom_id": f"candidate-{line}", "attempts": 1, "started_at": NOW, "status_code": 200}
    return Outcome(**{"line": line, "status": status, **defaults, **fields})


def answer(
    database: Database,
    held: Claim,
    *lines: int,
    status: RequestStatus = RequestStatus.COMPLETED,
    now: float = NOW,
    **fields: Any,
) -> None:
    """Record an end for running lines; keyword arguments are fields of Outcome."""
    kind: AnswerKind = "output" if status is RequestStatus.COMPLETED else "error"
    end = committed_bytes(database, batch_id=held.batch_id, kind=kind).end
    ended = [
        (outcome(line, status=status, **fields), Place(kind, end + at * ANSWER_BYTES, ANSWER_BYTES))
        for at, line in enumerate(lines)
    ]
    request_writes.record_outcomes(database, claim=held, outcomes=ended, now=now)


def postpone(database: Database, held: Claim, line: int, *, retry_at: float, now: float = NOW) -> None:
    later = [ScheduledRetry(line, attempts=1, retry_at=retry_at)]
    request_writes.record_outcomes(database, claim=held, outcomes=[], postponements=later, now=now)


def end(database: Database, held: Claim, status: BatchStatus, *, now: float = NOW, **files: Any) -> None:
    """End a batch without files, unless `output` or `errors` are given."""
    published = {"output": None, "errors": None, **files}
    claims.end_batch(database, claim=held, status=status, now=now, **published)


def complete(database: Database, batch: Batch, *, now: float = NOW, **fields: Any) -> Batch:
    """The whole way of a queued batch: claimed, every line answered, completed."""
    held = claim(database, batch, now=now)
    answer(database, held, *(taken.line for taken in take(database, held, now=now)), now=now, **fields)
    assert claims.begin_finalizing(database, claim=held, now=now)
    end(database, held, BatchStatus.COMPLETED, now=now)
    return batches.get_batch(database, batch_id=batch.id)


def ledger(database: Database, batch: Batch, *columns: str) -> list[Any]:
    """The named columns of a batch's lines in input order; plain values when it is one column."""
    query = f"SELECT {', '.join(columns)} FROM requests WHERE batch_id = ? ORDER BY line"
    with database.read() as connection:
        rows = [tuple(row) for row in connection.exec_driver_sql(query, (batch.id,))]
    return [row[0] for row in rows] if len(columns) == 1 else rows


def everything(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables: equal before and after means that nothing has changed."""
    with database.read() as connection:
        return {
            table.name: sorted(tuple(row) for row in connection.execute(select(table)))
            for table in metadata.sorted_tables
        }
