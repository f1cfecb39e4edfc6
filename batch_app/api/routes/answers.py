"""/v1/batches/{id}/answers and their kin: the answers of one batch as a table, for the pages and for spreadsheets."""

import re
from dataclasses import asdict
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response
from pydantic import StringConstraints

from batch_app.answer_index.answer_query import OPERATORS, AnswerQuery, Condition
from batch_app.answer_index.answer_table import Distribution, Table
from batch_app.answer_index.answer_text import answer_text, is_too_deep
from batch_app.answer_index.index import Field, fields_of
from batch_app.answer_index.open_answers import open_answers
from batch_app.api.context import Context, Ctx
from batch_app.api.errors import ApiError
from batch_app.api.exports import FACTS, Export, Format, as_csv, as_jsonl, cells
from batch_app.api.openapi import failures
from batch_app.api.routes.batches import BatchId, find_batch
from batch_app.api.schemas.answers import (
    AnswerDetail,
    AnswerRow,
    AnswerTable,
    BinObject,
    DistributionList,
    DistributionObject,
    FieldList,
    FieldObject,
    ValueCount,
)
from batch_app.disk.files import Place, read_range
from batch_app.errors import FileMissingError
from batch_app.states import RequestStatus
from batch_app.store import files, request_reads
from batch_app.store.batches import Batch

router = APIRouter(prefix="/v1", tags=["reading"])

REFRESH_SECONDS = 0.3
_SHOWN_CHARACTERS = 600
_CONDITION = re.compile(rf"(.+?):({'|'.join(OPERATORS)})(?::(.*))?", re.DOTALL)

Where = Annotated[
    str, StringConstraints(max_length=10_000)
]  # SQLite looks for patterns of 50,000 bytes at most
Offset = Annotated[int, Query(ge=0, le=2**31, description="rows to leave out")]
Columns = Annotated[list[str], Query(max_length=50, description="JSON paths, as `score` or `reasons[0]`")]
Bins = Annotated[int, Query(ge=2, le=60)]
PageLimit = Annotated[int, Query(ge=1, le=500)]
Find = Annotated[
    str | None,
    Query(max_length=512, description="how the custom_id begins of a row whose place is to be `found`"),
]


def _question(
    text: Annotated[str | None, Query(max_length=500, description="what the answer has in it")] = None,
    custom_id: Annotated[str | None, Query(max_length=512, description="how it begins")] = None,
    status: RequestStatus | None = None,
    code: Annotated[str | None, Query(description="error code")] = None,
    where: Annotated[
        list[Where] | None, Query(max_length=20, description="`column:operator:value`, as `score:ge:7`")
    ] = None,
    sort: Annotated[str, Query(max_length=500, description="a column; `-column` for descending")] = "line",
) -> AnswerQuery:
    """Columns are `line`, `custom_id`, `status`, `answer`, … and the paths that `…/fields` lists."""
    return AnswerQuery(
        text=text,
        custom_id_prefix=custom_id,
        status=status,
        error_code=code,
        conditions=[_condition(word) for word in where or []],
        sort=sort.removeprefix("-"),
        descending=sort.startswith("-"),
    )


Asked = Annotated[AnswerQuery, Depends(_question)]


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
    limit: PageLimit = 100,
    find: Find = None,
) -> AnswerTable:
    """Answers as a table, filtered and sorted by any column, from any row on."""
    find_batch(context, batch_id)
    complete = context.indexes.refresh(batch_id, seconds=REFRESH_SECONDS)
    with context.indexes.reading(batch_id) as index:
        table = Table(index)
        rows = table.rows(asked, columns=columns, offset=offset, limit=limit)
        total, indexed = table.counts(asked)
        return AnswerTable(
            data=[row for _, [answer] in rows if (row := answer_row(answer))],
            total=total,
            offset=offset,
            found=table.place_of(find, asked) if find else None,
            indexed=indexed,
            complete=complete,
        )


def answer_row(answer: dict[str, Any] | None) -> AnswerRow | None:
    if answer is None:
        return None
    text = answer["text"]
    shown = {**answer, "text": text[:_SHOWN_CHARACTERS]}
    return AnswerRow(**shown, is_cut=len(text) > _SHOWN_CHARACTERS)


@router.get("/batches/{batch_id}/fields", responses=failures(404))
def list_fields(batch_id: BatchId, context: Ctx) -> FieldList:
    """The fields of the JSON in the answers, the most frequent first."""
    find_batch(context, batch_id)
    complete = context.indexes.refresh(batch_id, seconds=REFRESH_SECONDS)
    with context.indexes.reading(batch_id) as index:
        data = [field_object(one) for one in fields_of(index)]
        return FieldList(data=data, indexed=Table(index).count(), complete=complete)


def field_object(field: Field) -> FieldObject:
    return FieldObject(path=field.path, answers=field.answers, is_number=field.is_number)


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
    context.indexes.refresh(batch_id, seconds=REFRESH_SECONDS)
    with context.indexes.reading(batch_id) as index:
        return distribution_object(column, Table(index).distribution(column, asked, bins=bins))


@router.get("/batches/{batch_id}/distributions", responses=failures(400, 404))
def list_distributions(
    batch_id: BatchId,
    context: Ctx,
    asked: Asked,
    columns: Annotated[list[str], Query(alias="column", min_length=1, max_length=20)],
    bins: Bins = 20,
) -> DistributionList:
    """The same of several columns, each without the filters on itself: what else it could be filtered by."""
    find_batch(context, batch_id)
    context.indexes.refresh(batch_id, seconds=REFRESH_SECONDS)
    with context.indexes.reading(batch_id) as index:
        table = Table(index)
        found = [(one, table.distribution(one, asked.without(one), bins=bins)) for one in columns]
        return DistributionList(data=[distribution_object(column, one) for column, one in found])


def distribution_object(column: str, found: Distribution) -> DistributionObject:
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
    format: Format = "csv",  # noqa: A002  # the parameter's name
) -> Response:
    """Every row that matches, as CSV (safe to open in a spreadsheet) or JSON Lines."""
    find_batch(context, batch_id)
    context.indexes.complete(batch_id)
    paths = list(dict.fromkeys(columns))
    with context.indexes.reading(batch_id) as index:
        answers = (answer for _, [answer] in Table(index).rows(asked, columns=paths) if answer)
        if format == "jsonl":
            export = Export(as_jsonl(answers))
        else:
            rows = ([one["line"], one["custom_id"], *cells(one, len(paths))] for one in answers)
            export = Export(as_csv(["line", "custom_id", *FACTS, *paths], rows))
    return export.response(f"{batch_id}_answers", format)


@router.get("/batches/{batch_id}/answers/{line}", responses=failures(400, 404))
def get_answer(batch_id: BatchId, context: Ctx, line: Annotated[int, Path(ge=1, le=2**31)]) -> AnswerDetail:
    """One line of the batch with all of its prompt and its answer."""
    batch = find_batch(context, batch_id)
    found = request_reads.get_row(context.database, batch_id=batch_id, line=line)
    if found is None:
        raise ApiError(404, "not_found", f"Batch '{batch_id}' has no request on line {line}.", param="line")
    answer = _answer(context, batch_id, found.answer)
    return AnswerDetail(
        **found.facts,
        request=request_of(context, batch, found),
        response=answer,
        text=answer_text(answer) if answer is not None else None,
        previous=found.previous,
        next=found.next,
    )


def request_of(context: Context, batch: Batch, row: request_reads.RequestRow) -> dict[str, Any] | None:
    """The line of the input file; None when the file is gone, or the line nested too deeply outside its body."""
    try:
        file = files.get_file(context.database, file_id=batch.input_file_id)
        path = context.settings.data_dir / file.path
        line = b"".join(read_range(path, row.input_offset, row.input_length))
    except (FileMissingError, FileNotFoundError):  # deleted before this call; deleted during it, or lost
        return None
    found: dict[str, Any] = orjson.loads(line)
    return None if is_too_deep(found) else found


def _answer(context: Context, batch_id: str, place: Place | None) -> dict[str, Any] | None:
    if place is None:
        return None
    with open_answers(context.database, context.settings, batch_id) as answers:
        line = answers.read(place)
    found: dict[str, Any] | None = orjson.loads(line) if line is not None else None
    return found
