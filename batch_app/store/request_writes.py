"""The ledger: one row per input line, from pending to its answer's place on the disk."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, insert, or_, select, update

from batch_app.database import Database
from batch_app.disk.files import AnswerKind, Place
from batch_app.errors import ClaimLostError
from batch_app.states import BatchStatus, RequestStatus
from batch_app.store.claims import Claim, holds, require_claim, return_running_lines
from batch_app.store.tables import batches, dead_letters, requests


@dataclass(frozen=True, slots=True)
class FetchedRequest:
    """A line that is `running` under a claim: where its input lies, and what happened to it before."""

    line: int
    custom_id: str
    input_offset: int
    input_length: int
    attempts: int
    engine_deaths: int
    copy_of: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a line. `dead_letter` is the reason it was given up, None when it was not."""

    line: int
    custom_id: str
    status: RequestStatus
    attempts: int
    started_at: float | None
    status_code: int | None = None
    error_code: str | None = None
    finish_reason: str | None = None
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    dead_letter: str | None = None
    from_cache: bool = False


@dataclass(frozen=True, slots=True)
class ScheduledRetry:
    """A line to be tried again, not before `retry_at`."""

    line: int
    attempts: int
    retry_at: float


def fetch_requests(
    database: Database,
    *,
    claim: Claim,
    limit: int,
    below_engine_deaths: int,
    longest_backoff_seconds: float,
    now: float,
) -> list[FetchedRequest]:
    """The next pending lines that are due, in the order of work, become running. Copies of others, and lines with
    more engine deaths, are left out. Raises ClaimLostError."""
    due = _is_due(now, longest_backoff_seconds)
    fit = requests.c.engine_deaths < below_engine_deaths
    return _take(database, claim, limit, [*_PENDING, _ORIGINAL, due, fit])


def fetch_suspect(
    database: Database, *, claim: Claim, from_engine_deaths: int, longest_backoff_seconds: float, now: float
) -> FetchedRequest | None:
    """One pending line that is due and was in flight at that many engine deaths: it is to run alone.

    Raises ClaimLostError.
    """
    suspect = requests.c.engine_deaths >= from_engine_deaths
    found = _take(database, claim, 1, [*_PENDING, _ORIGINAL, _is_due(now, longest_backoff_seconds), suspect])
    return found[0] if found else None


def _is_due(now: float, longest_backoff_seconds: float) -> ColumnElement[bool]:
    """Not postponed, or only until now. One postponed for longer than anything is means that the clock was set back."""
    retry_at = requests.c.retry_at
    return or_(retry_at.is_(None), retry_at <= now, retry_at > now + longest_backoff_seconds)


def fetch_unanswered(database: Database, *, claim: Claim, limit: int) -> list[FetchedRequest]:
    """Any pending lines, because the batch ends and they need an end too. Raises ClaimLostError."""
    return _take(database, claim, limit, _PENDING)


def fetch_copies(
    database: Database, *, claim: Claim, of: Collection[int], limit: int
) -> list[FetchedRequest]:
    """Unanswered copies of these lines, those included that were taken before and have got no answer yet.

    Raises ClaimLostError.
    """
    unanswered = (requests.c.copy_of.in_(of), requests.c.finished_at.is_(None))
    # In this order, and said twice, SQLite sees that the index of copies serves it; otherwise it reads the batch.
    order = (requests.c.copy_of, requests.c.line)
    return _take(database, claim, limit, [*unanswered, requests.c.copy_of.is_not(None)], order)


_PENDING = (requests.c.status == RequestStatus.PENDING, requests.c.finished_at.is_(None))
_ORIGINAL = requests.c.copy_of.is_(None)


def _take(
    database: Database,
    claim: Claim,
    limit: int,
    conditions: Sequence[ColumnElement[bool]],
    order: Sequence[ColumnElement[int]] = (requests.c.rank,),
) -> list[FetchedRequest]:
    columns = [requests.c[name] for name in FetchedRequest.__dataclass_fields__]
    query = (
        select(*columns)
        .where(requests.c.batch_id == claim.batch_id, *conditions)
        .order_by(*order)
        .limit(limit)
    )
    with database.write("take") as connection:
        require_claim(connection, claim)
        taken = [FetchedRequest(*row) for row in connection.execute(query)]
        if taken:
            connection.execute(
                update(requests)
                .where(requests.c.batch_id == claim.batch_id, requests.c.line == bindparam("its_line"))
                .values(status=RequestStatus.RUNNING),
                [{"its_line": line.line} for line in taken],
            )
    return taken


def record_outcomes(
    database: Database,
    *,
    claim: Claim,
    outcomes: Sequence[tuple[Outcome, Place]],
    postponements: Sequence[ScheduledRetry] = (),
    now: float,
) -> None:
    """Lines get their ends, all of them or none; each answer is on the disk at its place. Raises ClaimLostError."""
    with database.write("record") as connection:
        require_claim(connection, claim)
        _finish(connection, claim, outcomes, now)
        _postpone(connection, claim, postponements, now)
        _bury(connection, claim, [outcome for outcome, _place in outcomes], now)


def _its_line(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    return (
        requests.c.batch_id == claim.batch_id,
        requests.c.line == bindparam("its_line"),
        requests.c.status == RequestStatus.RUNNING,
    )


_ENDING = ("status", "attempts", "started_at", "status_code", "error_code", "finish_reason", "from_cache")
_UNDONE = (
    "started_at",
    "status_code",
    "error_code",
    "finish_reason",
    "retry_at",
    "first_failed_at",
    "finished_at",
)
_TOKENS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")


def _finish(
    connection: Connection, claim: Claim, outcomes: Sequence[tuple[Outcome, Place]], now: float
) -> None:
    rows = [
        {
            "its_line": outcome.line,
            "answer_kind": place.kind,
            "answer_offset": place.offset,
            "answer_length": place.length,
            "finished_at": now,
            **{name: getattr(outcome, name) for name in (*_ENDING, *_TOKENS)},
        }
        for outcome, place in outcomes
    ]
    if not rows:
        return
    names = [name for name in rows[0] if name != "its_line"]
    statement = update(requests).where(*_its_line(claim)).values({name: bindparam(name) for name in names})
    if connection.execute(statement, rows).rowcount != len(rows):
        raise ClaimLostError(f"a line of batch {claim.batch_id} was not running when its answer came")


def _postpone(
    connection: Connection, claim: Claim, postponements: Sequence[ScheduledRetry], now: float
) -> None:
    if postponements:
        statement = (
            update(requests)
            .where(*_its_line(claim))
            .values(
                status=RequestStatus.PENDING,
                attempts=bindparam("its_attempts"),
                retry_at=bindparam("its_retry_at"),
                first_failed_at=func.coalesce(requests.c.first_failed_at, now),
            )
        )
        rows = [
            {"its_line": p.line, "its_attempts": p.attempts, "its_retry_at": p.retry_at}
            for p in postponements
        ]
        if connection.execute(statement, rows).rowcount != len(rows):
            raise ClaimLostError(f"a line of batch {claim.batch_id} was not running when it was postponed")


def _bury(connection: Connection, claim: Claim, outcomes: Sequence[Outcome], now: float) -> None:
    dead = {outcome.line: outcome for outcome in outcomes if outcome.dead_letter is not None}
    if not dead:
        return
    query = select(requests.c.line, requests.c.first_failed_at).where(
        requests.c.batch_id == claim.batch_id, requests.c.line.in_(dead)
    )
    first_failure = {row.line: row.first_failed_at for row in connection.execute(query)}
    rows = [
        {
            "batch_id": claim.batch_id,
            "line": line,
            "custom_id": outcome.custom_id,
            "code": outcome.error_code,
            "message": outcome.dead_letter,
            "attempts": outcome.attempts,
            "first_failed_at": first_failure.get(line) or now,
            "last_failed_at": now,
        }
        for line, outcome in dead.items()
    ]
    connection.execute(insert(dead_letters), rows)


def requeue_answers(database: Database, *, claim: Claim, kind: AnswerKind, from_offset: int) -> int:
    """Lines whose answers lie there have none, because the disk has lost them: they are pending again, as if never
    tried, and a batch that was being finalized is in progress again; how many lines. Raises ClaimLostError."""
    gone = and_(
        requests.c.batch_id == claim.batch_id,
        requests.c.answer_kind == kind,
        requests.c.answer_offset >= from_offset,
    )
    letters = delete(dead_letters).where(
        dead_letters.c.batch_id == claim.batch_id,
        dead_letters.c.line.in_(select(requests.c.line).where(gone)),
    )
    nothing = dict.fromkeys((*_UNDONE, "answer_kind", "answer_offset", "answer_length"))
    pending = {
        "status": RequestStatus.PENDING,
        "attempts": 0,
        "from_cache": False,
        **dict.fromkeys(_TOKENS, 0),
        **nothing,
    }
    finalizing = update(batches).where(holds(claim), batches.c.status == BatchStatus.FINALIZING)
    with database.write("forget_answers") as connection:
        require_claim(connection, claim)
        connection.execute(letters)
        connection.execute(finalizing.values(status=BatchStatus.IN_PROGRESS, finalizing_at=None))
        return connection.execute(update(requests).where(gone).values(pending)).rowcount


def return_running_requests(database: Database, *, claim: Claim) -> None:
    """Every running line of the batch is pending again. Raises ClaimLostError."""
    with database.write("return_running") as connection:
        require_claim(connection, claim)
        return_running_lines(connection, requests.c.batch_id == claim.batch_id)


def return_requests(
    database: Database, *, claim: Claim, lines: Sequence[int], after_engine_death: bool
) -> None:
    """Running lines whose answers will not come are pending again; after an engine's death they are suspects.

    Raises ClaimLostError.
    """
    statement = (
        update(requests)
        .where(*_its_line(claim))
        .values(
            status=RequestStatus.PENDING,
            engine_deaths=requests.c.engine_deaths + int(after_engine_death),
            started_at=None,
        )
    )
    with database.write("return_lines") as connection:
        require_claim(connection, claim)
        if lines:
            connection.execute(statement, [{"its_line": line} for line in lines])
