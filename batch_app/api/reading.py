"""/v1/batches/{id}/answers and /v1/compare: many answers as tables, for the pages and for spreadsheets."""

import csv
import io
import re
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Annotated, Any, BinaryIO, Literal

import orjson
from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response, StreamingResponse

from batch_app.api.batches import BatchId, find_batch
from batch_app.api.context import Context, Ctx
from batch_app.api.document import failures
from batch_app.api.errors import ApiError
from batch_app.api.wire_reading import (
    Agreement,
    AnswerDetail,
    AnswerRow,
    AnswerTable,
    BinObject,
    ComparedAnswer,
    ComparedRow,
    ComparedRows,
    ComparisonObject,
    DistributionObject,
    FieldList,
    FieldObject,
    SideChange,
    SideSummary,
    ValueCount,
)
from batch_app.errors import BadQueryError, FileMissingError
from batch_app.files import Place, read_range
from batch_app.reading.comparisons import MOST_BATCHES, Comparison, Only
from batch_app.reading.places import open_answers
from batch_app.reading.tables import OPERATORS, Condition, Question, Table
from batch_app.reading.words import answer_text
from batch_app.states import RequestStatus
from batch_app.store import files, progress
from batch_app.store.batches import Batch

router = APIRouter(prefix="/v1", tags=["reading"])

_REFRESH_SECONDS = 0.3
_PIECE_BYTES = 256 * 1024
_SHOWN_CHARACTERS = 600
_COMPARED_CHARACTERS = 4000
_CONDITION = re.compile(rf"(.+?):({'|'.join(OPERATORS)})(?::(.*))?", re.DOTALL)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Offset = Annotated[int, Query(ge=0, le=2**31, description="rows to leave out")]
Columns = Annotated[list[str], Query(max_length=50, description="JSON paths, as `score` or `reasons[0]`")]
Bins = Annotated[int, Query(ge=2, le=60)]


def _question(
    text: Annotated[str | None, Query(max_length=500, description="what the answer has in it")] = None,
    custom_id: Annotated[str | None, Query(max_length=512, description="how it begins")] = None,
    status: RequestStatus | None = None,
    code: Annotated[str | None, Query(description="error code")] = None,
    where: Annotated[
        list[str] | None, Query(max_length=20, description="`column:operator:value`, as `score:ge:7`")
    ] = None,
    sort: Annotated[str, Query(max_length=500, description="a column; `-column` for descending")] = "line",
) -> Question:
    """Columns are `line`, `custom_id`, `status`, `answer`, … and the paths that `…/fields` lists."""
    return Question(
        text=text,
        custom_id_prefix=custom_id,
        status=status,
        error_code=code,
        conditions=[_condition(word) for word in where or []],
        sort=sort.removeprefix("-"),
        descending=sort.startswith("-"),
    )


Asked = Annotated[Question, Depends(_question)]


def _condition(word: str) -> Condition:
    match = _CONDITION.fullmatch(word)
    if match is None:
        message = f"'where' is {word[:60]!r}; write column:operator:value with {', '.join(OPERATORS)}."
        raise ApiError(400, "invalid_value", message, param="where")
    return Condition(match[1], match[2], match[3] or "")


@router.get("/batches/{batch_id}/answers", responses=failures(400, 404))
def list_answers(
    batch_id: BatchId,
    context: Ctx,
    asked: Asked,
    columns: Columns = [],  # noqa: B006  # FastAPI copies it
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> AnswerTable:
    """Answers as a table, filtered and sorted by any column, from any row on."""
    find_batch(context, batch_id)
    complete = context.indexes.refresh(batch_id, seconds=_REFRESH_SECONDS)
    with context.indexes.reading(batch_id) as index:
        table = Table(index)
        found = [_row(row) for row in table.rows(asked, columns=columns, offset=offset, limit=limit)]
        return AnswerTable(
            data=found, total=table.count(asked), offset=offset, indexed=table.count(), complete=complete
        )


def _row(row: dict[str, Any]) -> AnswerRow:
    text = row.pop("text")
    return AnswerRow(**row, text=text[:_SHOWN_CHARACTERS], is_cut=len(text) > _SHOWN_CHARACTERS)


@router.get("/batches/{batch_id}/fields", responses=failures(404))
def list_fields(batch_id: BatchId, context: Ctx) -> FieldList:
    """The fields of the JSON in the answers, the most frequent first."""
    find_batch(context, batch_id)
    complete = context.indexes.refresh(batch_id, seconds=_REFRESH_SECONDS)
    with context.indexes.reading(batch_id) as index:
        table = Table(index)
        data = [_field(one.path, one.answers, is_number=one.is_number) for one in table.fields.values()]
        return FieldList(data=data, indexed=table.count(), complete=complete)


def _field(path: str, answers: int, *, is_number: bool) -> FieldObject:
    return FieldObject(path=path, answers=answers, is_number=is_number)


@router.get("/batches/{batch_id}/distribution", responses=failures(400, 404))
def get_distribution(
    batch_id: BatchId,
    context: Ctx,
    asked: Asked,
    column: Annotated[str, Query(max_length=500)],
    bins: Bins = 20,
) -> DistributionObject:
    """The values of one column of the rows that match: the most frequent, and a histogram of the numbers."""
    find_batch(context, batch_id)
    context.indexes.refresh(batch_id, seconds=_REFRESH_SECONDS)
    with context.indexes.reading(batch_id) as index:
        found = Table(index).distribution(column, asked, bins=bins)
    return DistributionObject(
        column=column,
        present=found.present,
        distinct=found.distinct,
        mean=found.mean,
        top=[ValueCount(value=value, count=count) for value, count in found.top],
        bins=[BinObject(**asdict(one)) for one in found.bins],
    )


@router.get("/batches/{batch_id}/export", response_class=Response, responses=failures(400, 404))
def export_answers(
    batch_id: BatchId,
    context: Ctx,
    asked: Asked,
    columns: Columns = [],  # noqa: B006  # FastAPI copies it
    format: Annotated[Literal["csv", "jsonl"], Query()] = "csv",  # noqa: A002  # the parameter's name
) -> Response:
    """Every row that matches, as CSV (safe to open in a spreadsheet) or JSON Lines."""
    find_batch(context, batch_id)
    context.indexes.refresh(batch_id)
    with context.indexes.reading(batch_id) as index:
        rows = Table(index).rows(asked, columns=columns)
        spool = _spooled(_csv(rows, columns) if format == "csv" else _jsonl(rows))
    headers = {
        "content-disposition": f'attachment; filename="{batch_id}_answers.{format}"',
        "content-length": str(spool.tell()),
    }
    media_type = "text/csv; charset=utf-8" if format == "csv" else "application/x-ndjson"
    return StreamingResponse(_from_start(spool), media_type=media_type, headers=headers)


def _spooled(pieces: Iterator[str]) -> BinaryIO:
    """The whole export, before any of it is sent: a client that reads slowly, or stops, would hold the index."""
    spool = tempfile.TemporaryFile()  # noqa: SIM115  # closed behind its last byte
    try:
        spool.writelines(piece.encode() for piece in pieces)
    except BaseException:
        spool.close()
        raise
    return spool


def _from_start(spool: BinaryIO) -> Iterator[bytes]:
    with spool:
        spool.seek(0)
        while piece := spool.read(_PIECE_BYTES):
            yield piece


def _jsonl(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    while page := list(islice(rows, 1000)):
        yield "".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE).decode() for row in page)


def _csv(rows: Iterator[dict[str, Any]], columns: list[str]) -> Iterator[str]:
    facts = (
        "line",
        "custom_id",
        "status",
        "error_code",
        "finish_reason",
        "input_tokens",
        "output_tokens",
        "seconds",
    )
    head: list[list[Any]] = [[*facts, "text", *columns]]
    body = ([*(row[name] for name in facts), row["text"], *row["values"].values()] for row in rows)
    while page := [*head, *islice(body, 1000)]:
        head = []
        text = io.StringIO()
        csv.writer(text).writerows([[_cell(value) for value in row] for row in page])
        yield text.getvalue()


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets an apostrophe in front."""
    if isinstance(value, dict | list | bool):
        return orjson.dumps(value).decode()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


@router.get("/batches/{batch_id}/answers/{line}", responses=failures(400, 404))
def get_answer(batch_id: BatchId, context: Ctx, line: Annotated[int, Path(ge=1, le=2**31)]) -> AnswerDetail:
    """One line of the batch with all of its prompt and its answer."""
    batch = find_batch(context, batch_id)
    found = progress.get_row(context.database, batch_id=batch_id, line=line)
    if found is None:
        raise ApiError(404, "not_found", f"Batch '{batch_id}' has no request on line {line}.", param="line")
    answer = _answer(context, batch_id, found.answer)
    return AnswerDetail(
        **found.facts,
        request=_request(context, batch, found.input_offset, found.input_length),
        response=answer,
        text=answer_text(answer) if answer is not None else None,
        previous=found.previous,
        next=found.next,
    )


def _request(context: Context, batch: Batch, offset: int, length: int) -> dict[str, Any] | None:
    try:
        file = files.get_file(context.database, file_id=batch.input_file_id)
    except FileMissingError:
        return None
    found: dict[str, Any] = orjson.loads(
        b"".join(read_range(context.settings.data_dir / file.path, offset, length))
    )
    return found


def _answer(context: Context, batch_id: str, place: Place | None) -> dict[str, Any] | None:
    if place is None:
        return None
    with open_answers(context.database, context.settings, batch_id) as answers:
        line = answers.read(place)
    found: dict[str, Any] | None = orjson.loads(line) if line is not None else None
    return found


Compared = Annotated[
    list[str],
    Query(alias="batch", min_length=2, max_length=MOST_BATCHES, description="the first is the baseline"),
]
FieldPath = Annotated[str | None, Query(max_length=500, description="a field that all of them have")]


def _refreshed(context: Context, batch_ids: list[str]) -> bool:
    if len(set(batch_ids)) < len(batch_ids):
        raise BadQueryError("a batch is compared with others, not with itself")
    for batch_id in batch_ids:
        find_batch(context, batch_id)
    complete = [context.indexes.refresh(batch_id, seconds=_REFRESH_SECONDS) for batch_id in batch_ids]
    return all(complete)


@router.get("/compare", responses=failures(400, 404))
def compare(context: Ctx, batch_ids: Compared, field: FieldPath = None, bins: Bins = 20) -> ComparisonObject:
    """Two to four batches, joined by custom_id: what matches, what is the same, and how a field differs."""
    complete = _refreshed(context, batch_ids)
    others = list(enumerate(batch_ids))[1:]
    with context.indexes.reading(*batch_ids) as index:
        comparison = Comparison(index, len(batch_ids))
        return ComparisonObject(
            batch_ids=batch_ids,
            sides=[_side(batch_id, comparison, n) for n, batch_id in others],
            fields=[_field(one.path, one.answers, is_number=one.is_number) for one in comparison.fields()],
            field=field,
            changes=[_change(batch_id, comparison, n, field, bins) for n, batch_id in others]
            if field
            else [],
            indexed=comparison.count("all"),
            complete=complete,
        )


def _side(batch_id: str, comparison: Comparison, number: int) -> SideSummary:
    found = comparison.summary(number)
    return SideSummary(batch_id=batch_id, **asdict(found), different=found.both - found.same)


def _change(batch_id: str, comparison: Comparison, number: int, path: str, bins: int) -> SideChange:
    found = comparison.change(path, number, bins=bins)
    return SideChange(
        batch_id=batch_id,
        both=found.both,
        equal=found.equal,
        baseline_mean=found.baseline_mean,
        other_mean=found.other_mean,
        bins=[BinObject(**asdict(one)) for one in found.bins],
        agreement=[Agreement(baseline=one, other=two, count=count) for one, two, count in found.agreement],
    )


@router.get("/compare/rows", responses=failures(400, 404))
def compare_rows(
    context: Ctx,
    batch_ids: Compared,
    field: FieldPath = None,
    only: Only = "all",
    sort: Annotated[
        Literal["line", "change", "-change"], Query(description="`change` of the field")
    ] = "line",
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ComparedRows:
    """Their answers side by side. `flipped`: those whose field has another value than the baseline's."""
    _refreshed(context, batch_ids)
    with context.indexes.reading(*batch_ids) as index:
        comparison = Comparison(index, len(batch_ids))
        found = comparison.rows(
            only,
            path=field,
            by_change=sort != "line",
            descending=sort.startswith("-"),
            offset=offset,
            limit=limit,
        )
        data = [
            ComparedRow(custom_id=custom_id, answers=[_compared(one) for one in answers])
            for custom_id, answers in found
        ]
        return ComparedRows(data=data, total=comparison.count(only, field), offset=offset)


def _compared(answer: dict[str, Any] | None) -> ComparedAnswer | None:
    if answer is None:
        return None
    text = answer.pop("text")
    return ComparedAnswer(**answer, text=text[:_COMPARED_CHARACTERS], is_cut=len(text) > _COMPARED_CHARACTERS)
