"""Routes of /v1/compare/answers, distribution and export: two to four batches as one table, joined by custom_id."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from batch_app.answer_index.answer_query import AnswerQuery, Having
from batch_app.answer_index.answer_table import Table
from batch_app.api.answer_serializers import answer_row, distribution_object
from batch_app.api.context import Context, Ctx
from batch_app.api.exports import FACTS, Export, Format, as_csv, as_jsonl, cells
from batch_app.api.lookups import find_batches, refresh_indexes
from batch_app.api.openapi import failures
from batch_app.api.params import Asked, Bins, Compared, Find, Offset, PageLimit
from batch_app.api.schemas.answers import DistributionObject, JoinedRow, JoinedTable
from batch_app.store import files
from batch_app.store.batches import Batch

router = APIRouter(prefix="/v1/compare", tags=["reading"])


def _joined_query(
    asked: Asked,
    having: Annotated[
        Having,
        Query(
            description="`matched`: every batch has the custom_id; `unmatched`: not every one; a number: that one alone"
        ),
    ] = "all",
) -> AnswerQuery:
    """A column has the number of its batch in front, from 1, as `2.score`; `custom_id` and `line` have none. `text`,
    `status` and `code` look at the answers of all batches: one that fits is enough."""
    return replace(asked, having=having)


AskedOfAll = Annotated[AnswerQuery, Depends(_joined_query)]
JoinedColumns = Annotated[
    list[str], Query(max_length=50, description="JSON paths, as `1.score` or `2.reasons[0]`")
]


@router.get("/answers", responses=failures(400, 404))
def list_joined_answers(
    context: Ctx,
    batch_ids: Compared,
    asked: AskedOfAll,
    columns: JoinedColumns = [],  # noqa: B006  # FastAPI copies it
    offset: Offset = 0,
    limit: PageLimit = 100,
    find: Find = None,
) -> JoinedTable:
    """Two to four batches as one table, joined by custom_id: filtered and sorted by any column of any of them."""
    complete = refresh_indexes(context, batch_ids)
    with context.indexes.reading(*batch_ids) as index:
        table = Table(index, len(batch_ids))
        rows = table.rows(asked, columns=columns, offset=offset, limit=limit)
        total, indexed = table.counts(asked)
        return JoinedTable(
            data=[
                JoinedRow(custom_id=custom_id, answers=[answer_row(one) for one in answers])
                for custom_id, answers in rows
            ],
            total=total,
            offset=offset,
            found=table.place_of(find, asked) if find else None,
            indexed=indexed,
            complete=complete,
        )


@router.get("/distribution", responses=failures(400, 404))
def get_joined_distribution(
    context: Ctx,
    batch_ids: Compared,
    asked: AskedOfAll,
    column: Annotated[str, Query(max_length=500)],
    bins: Bins = 20,
) -> DistributionObject:
    """The values of one column of one of the batches, of the joined rows that match."""
    refresh_indexes(context, batch_ids)
    with context.indexes.reading(*batch_ids) as index:
        found = Table(index, len(batch_ids)).distribution(column, asked, bins=bins)
        return distribution_object(column, found)


@router.get("/export", response_class=Response, responses=failures(400, 404))
def export_joined_answers(
    context: Ctx,
    batch_ids: Compared,
    asked: AskedOfAll,
    columns: JoinedColumns = [],  # noqa: B006  # FastAPI copies it
    format: Format = "csv",  # noqa: A002  # the parameter's name
) -> Response:
    """Every joined row that matches, as CSV (safe for spreadsheets; each column says its batch) or JSON Lines."""
    names = _names(context, find_batches(context, batch_ids))
    for batch_id in batch_ids:
        context.indexes.complete(batch_id)
    with context.indexes.reading(*batch_ids) as index:
        table = Table(index, len(batch_ids))
        paths = table.paths(dict.fromkeys(columns))
        rows = table.rows(asked, columns=columns)
        if format == "jsonl":
            export = Export(as_jsonl(_keyed(batch_ids, *row) for row in rows))
        else:
            head = [
                f"{name}: {column}"
                for name, ours in zip(names, paths, strict=True)
                for column in (*FACTS, *ours)
            ]
            lines = (_line(custom_id, answers, paths) for custom_id, answers in rows)
            export = Export(as_csv(["custom_id", *head], lines))
    return export.response("_".join([*batch_ids, "answers"]), format)


def _names(context: Context, found: list[Batch]) -> list[str]:
    """What people call the batches, or their ids where two have the same name."""
    sources = files.facts_of(context.database, file_ids=[batch.input_file_id for batch in found])
    names = [
        (batch.metadata or {}).get("name", "").strip() or sources[batch.input_file_id].filename or batch.id
        for batch in found
    ]
    return names if len(set(names)) == len(names) else [batch.id for batch in found]


def _keyed(batch_ids: list[str], custom_id: str, answers: list[dict[str, Any] | None]) -> dict[str, Any]:
    return {"custom_id": custom_id, "answers": dict(zip(batch_ids, answers, strict=True))}


def _line(custom_id: str, answers: list[dict[str, Any] | None], paths: list[list[str]]) -> list[Any]:
    return [
        custom_id,
        *(cell for one, ours in zip(answers, paths, strict=True) for cell in cells(one, len(ours))),
    ]
