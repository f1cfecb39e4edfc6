"""Routes of /v1/batches/{id}/answers, fields, distributions and export: the answers of one batch as a table."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from batch_app.answer_index.answer_table import Table
from batch_app.answer_index.answer_text import answer_text
from batch_app.answer_index.index import fields_of
from batch_app.answer_index.open_answers import open_answers
from batch_app.api.answer_serializers import answer_row, distribution_object, field_object
from batch_app.api.context import Context, Ctx
from batch_app.api.errors import ApiError
from batch_app.api.exports import FACTS, Export, Format, as_csv, as_jsonl, cells
from batch_app.api.lookups import find_batch, refresh_indexes, request_of
from batch_app.api.openapi import failures
from batch_app.api.params import Asked, BatchId, Bins, Columns, Find, Offset, PageLimit
from batch_app.api.schemas.answers import (
    AnswerDetail,
    AnswerTable,
    DistributionList,
    DistributionObject,
    FieldList,
)
from batch_app.disk.files import Place
from batch_app.store import request_reads

router = APIRouter(prefix="/v1", tags=["reading"])


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
    complete = refresh_indexes(context, [batch_id])
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


@router.get("/batches/{batch_id}/fields", responses=failures(404))
def list_fields(batch_id: BatchId, context: Ctx) -> FieldList:
    """The fields of the JSON in the answers, the most frequent first."""
    complete = refresh_indexes(context, [batch_id])
    with context.indexes.reading(batch_id) as index:
        data = [field_object(one) for one in fields_of(index)]
        return FieldList(data=data, indexed=Table(index).count(), complete=complete)


@router.get("/batches/{batch_id}/distribution", responses=failures(400, 404))
def get_distribution(
    batch_id: BatchId,
    context: Ctx,
    asked: Asked,
    column: Annotated[str, Query(max_length=500)],
    bins: Bins = 20,
) -> DistributionObject:
    """The values of one column of the rows that match: the most frequent, and a histogram of the numbers."""
    refresh_indexes(context, [batch_id])
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
    refresh_indexes(context, [batch_id])
    with context.indexes.reading(batch_id) as index:
        table = Table(index)
        found = [(one, table.distribution(one, asked.without(one), bins=bins)) for one in columns]
        return DistributionList(data=[distribution_object(column, one) for column, one in found])


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


def _answer(context: Context, batch_id: str, place: Place | None) -> dict[str, Any] | None:
    if place is None:
        return None
    with open_answers(context.database, context.settings, batch_id) as answers:
        line = answers.read(place)
    found: dict[str, Any] | None = orjson.loads(line) if line is not None else None
    return found
