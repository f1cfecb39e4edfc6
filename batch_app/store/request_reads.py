"""The lines of a batch, as the ledger has them: rows and where their answers lie, errors, dead letters. Reads only."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, select

from batch_app.database import Database
from batch_app.disk.files import AnswerKind, Place
from batch_app.states import FINAL_REQUEST_STATES, RequestStatus
from batch_app.store.claims import stream_end
from batch_app.store.tables import dead_letters, requests


@dataclass(frozen=True, slots=True)
class CommittedBytes:
    """How far an answer stream of a batch is committed: so many lines, up to the byte `end`. `start` is the byte behind
    the lines that were to be skipped, never behind `end`."""

    lines: int
    start: int
    end: int


def committed_bytes(database: Database, *, batch_id: str, kind: AnswerKind, skip: int = 0) -> CommittedBytes:
    """Of one moment, while answers keep coming."""
    of_kind = and_(requests.c.batch_id == batch_id, requests.c.answer_kind == kind)
    line_end = (requests.c.answer_offset + requests.c.answer_length).label("line_end")
    skipped = select(line_end).where(of_kind).order_by(requests.c.answer_offset).limit(skip).subquery()
    with database.read() as connection:
        lines = connection.execute(select(func.count()).select_from(requests).where(of_kind)).scalar_one()
        end = stream_end(connection, batch_id, kind)
        start = connection.execute(select(func.max(skipped.c.line_end))).scalar_one() if skip else 0
    return CommittedBytes(lines, start or 0, end)


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Lines of a batch that ended with the same error code, the first of them as a sample."""

    code: str
    count: int
    line: int
    custom_id: str
    message: str | None


def error_groups(database: Database, *, batch_id: str) -> list[ErrorGroup]:
    groups = (
        select(requests.c.error_code, func.count().label("count"), func.min(requests.c.line).label("line"))
        .where(requests.c.batch_id == batch_id, requests.c.error_code.is_not(None))
        .where(requests.c.status.in_(FINAL_REQUEST_STATES))
        .group_by(requests.c.error_code)
        .subquery()
    )
    sample = and_(requests.c.batch_id == batch_id, requests.c.line == groups.c.line)
    letter = and_(dead_letters.c.batch_id == batch_id, dead_letters.c.line == groups.c.line)
    query = (
        select(groups, requests.c.custom_id, dead_letters.c.message)
        .join_from(groups, requests, sample)
        .outerjoin(dead_letters, letter)
        .order_by(groups.c.count.desc(), groups.c.error_code)
    )
    with database.read() as connection:
        return [ErrorGroup(*row) for row in connection.execute(query)]


ROW_COLUMNS = (
    "line",
    "custom_id",
    "status",
    "attempts",
    "status_code",
    "finish_reason",
    "error_code",
    "input_tokens",
    "output_tokens",
    "started_at",
    "finished_at",
)


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Which ledger rows of a batch are wanted; None does not filter."""

    status: str | None = None
    error_code: str | None = None
    custom_id_prefix: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        wanted: list[ColumnElement[bool]] = []
        if self.status is not None:
            wanted.append(requests.c.status == self.status)
        if self.error_code is not None:
            wanted.append(requests.c.error_code == self.error_code)
        if self.custom_id_prefix:
            beginning = func.substr(requests.c.custom_id, 1, len(self.custom_id_prefix))
            wanted.append(beginning == self.custom_id_prefix)  # LIKE takes upper and lower case for the same
        return wanted


def list_rows(
    database: Database, *, batch_id: str, wanted: RowFilter, after: int, limit: int
) -> tuple[list[dict[str, Any]], int]:
    """Ledger rows in input order behind line `after`, and how many match in all."""
    matching = [requests.c.batch_id == batch_id, *wanted.conditions()]
    columns = [requests.c[name] for name in ROW_COLUMNS]
    page = select(*columns).where(*matching, requests.c.line > after).order_by(requests.c.line).limit(limit)
    with database.read() as connection:
        total = connection.execute(select(func.count()).select_from(requests).where(*matching)).scalar_one()
        return [dict(row._mapping) for row in connection.execute(page)], total


def list_answered_rows(
    database: Database, *, batch_id: str, wanted: RowFilter, after: int, limit: int
) -> list[tuple[dict[str, Any], Place]]:
    """Ledger rows of lines that have their end, in input order behind line `after`, and where the answers lie."""
    query = (
        _answered_rows(batch_id)
        .where(*wanted.conditions(), requests.c.line > after)
        .order_by(requests.c.line)
        .limit(limit)
    )
    with database.read() as connection:
        return [_with_place(row) for row in connection.execute(query)]


def list_answers_after(
    database: Database, *, batch_id: str, kind: AnswerKind, offset: int, limit: int
) -> list[tuple[dict[str, Any], Place]]:
    """Ledger rows whose answers reach behind an offset of their stream, in its order: the first may begin before it."""
    end = requests.c.answer_offset + requests.c.answer_length
    query = (
        _answered_rows(batch_id)
        .where(requests.c.answer_kind == kind, end > offset)
        .order_by(requests.c.answer_offset)
        .limit(limit)
    )
    with database.read() as connection:
        return [_with_place(row) for row in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One line of a batch: its facts by ROW_COLUMNS, where its prompt and its answer lie, and its neighbours."""

    facts: dict[str, Any]
    input_offset: int
    input_length: int
    answer: Place | None
    previous: int | None
    next: int | None


def get_row(database: Database, *, batch_id: str, line: int) -> RequestRow | None:
    of_batch = requests.c.batch_id == batch_id
    query = select(requests).where(of_batch, requests.c.line == line)
    neighbours = select(
        select(func.max(requests.c.line)).where(of_batch, requests.c.line < line).scalar_subquery(),
        select(func.min(requests.c.line)).where(of_batch, requests.c.line > line).scalar_subquery(),
    )
    with database.read() as connection:
        row = connection.execute(query).one_or_none()
        if row is None:
            return None
        previous, following = connection.execute(neighbours).one()
    place = Place(row.answer_kind, row.answer_offset, row.answer_length) if row.answer_kind else None
    facts = {name: getattr(row, name) for name in ROW_COLUMNS}
    return RequestRow(facts, row.input_offset, row.input_length, place, previous, following)


def _answered_rows(batch_id: str) -> Select[Any]:
    place = (requests.c.answer_kind, requests.c.answer_offset, requests.c.answer_length)
    columns = [requests.c[name] for name in ROW_COLUMNS]
    return select(*place, *columns).where(
        requests.c.batch_id == batch_id, requests.c.answer_kind.is_not(None)
    )


def _with_place(row: Row[Any]) -> tuple[dict[str, Any], Place]:
    kind, offset, length, *values = tuple(row)
    return dict(zip(ROW_COLUMNS, values, strict=True)), Place(kind, offset, length)


def list_dead_letters(database: Database, *, batch_id: str, after: int, limit: int) -> list[dict[str, Any]]:
    query = (
        select(dead_letters)
        .where(dead_letters.c.batch_id == batch_id, dead_letters.c.line > after)
        .order_by(dead_letters.c.line)
        .limit(limit)
    )
    with database.read() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]


def unsuccessful_inputs(database: Database, *, batch_id: str) -> list[tuple[int, int]]:
    """(offset, length) in the input file of every line that ended without an answer, in input order."""
    unsuccessful = FINAL_REQUEST_STATES - {RequestStatus.COMPLETED}
    query = (
        select(requests.c.input_offset, requests.c.input_length)
        .where(requests.c.batch_id == batch_id, requests.c.status.in_(unsuccessful))
        .order_by(requests.c.line)
    )
    with database.read() as connection:
        return [(offset, length) for offset, length in connection.execute(query)]
