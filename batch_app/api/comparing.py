"""/v1/compare and its kin: two to four batches joined by custom_id, summed up, side by side and as one table."""

import math
from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from batch_app.api.batches import find_batch
from batch_app.api.context import Context, Ctx
from batch_app.api.document import failures
from batch_app.api.exports import FACTS, Export, Format, as_csv, as_jsonl, cells
from batch_app.api.reading import (
    REFRESH_SECONDS,
    Asked,
    Bins,
    Find,
    Offset,
    PageLimit,
    answer_row,
    distribution_object,
    field_object,
    request_of,
)
from batch_app.api.wire_reading import (
    Agreement,
    BinObject,
    ComparedAnswer,
    ComparedRow,
    ComparedRows,
    ComparisonObject,
    DistributionObject,
    JoinedRow,
    JoinedTable,
    SideChange,
    SideSummary,
)
from batch_app.errors import BadQueryError
from batch_app.reading.comparisons import Comparison, Only
from batch_app.reading.joins import MOST_BATCHES
from batch_app.reading.questions import Having, Question
from batch_app.reading.tables import Table
from batch_app.store import files, progress
from batch_app.store.batches import Batch

router = APIRouter(prefix="/v1/compare", tags=["reading"])

_COMPARED_CHARACTERS = 4000

Compared = Annotated[
    list[str],
    Query(alias="batch", min_length=2, max_length=MOST_BATCHES, description="the first is the baseline"),
]
FieldPath = Annotated[str | None, Query(max_length=500, description="a field that all of them have")]


def _refreshed(context: Context, batch_ids: list[str], *, seconds: float = REFRESH_SECONDS) -> bool:
    _found(context, batch_ids)
    complete = [context.indexes.refresh(batch_id, seconds=seconds) for batch_id in batch_ids]
    return all(complete)


def _found(context: Context, batch_ids: list[str]) -> list[Batch]:
    if len(set(batch_ids)) < len(batch_ids):
        raise BadQueryError("a batch is compared with others, not with itself")
    return [find_batch(context, batch_id) for batch_id in batch_ids]


def _joined_question(
    asked: Asked,
    having: Annotated[
        Having,
        Query(
            description="`matched`: every batch has the custom_id; `unmatched`: not every one; a number: that one alone"
        ),
    ] = "all",
) -> Question:
    """A column has the number of its batch in front, from 1, as `2.score`; `custom_id` and `line` have none. `text`,
    `status` and `code` look at the answers of all batches: one that fits is enough."""
    return replace(asked, having=having)


AskedOfAll = Annotated[Question, Depends(_joined_question)]
JoinedColumns = Annotated[
    list[str], Query(max_length=50, description="JSON paths, as `1.score` or `2.reasons[0]`")
]


@router.get("", responses=failures(400, 404))
def compare(
    *,
    context: Ctx,
    batch_ids: Compared,
    field: FieldPath = None,
    likely: Annotated[bool, Query(description="without such a field, `likely_field` is looked at")] = False,
    setup: Annotated[bool, Query(description="with `first_requests`")] = False,
    bins: Bins = 20,
) -> ComparisonObject:
    """Two to four batches, joined by custom_id: what matches, what is the same, and how a field differs."""
    complete = _refreshed(context, batch_ids)
    others = list(enumerate(batch_ids))[1:]
    with context.indexes.reading(*batch_ids) as index:
        comparison = Comparison(index, len(batch_ids))
        fields = comparison.fields()
        if likely and field not in {one.path for one in fields}:
            field = comparison.likely_field()
        return ComparisonObject(
            batch_ids=batch_ids,
            sides=[_side(batch_id, comparison, n) for n, batch_id in others],
            fields=[field_object(one) for one in fields],
            likely_field=comparison.likely_field(),
            field=field,
            changes=[_change(batch_id, comparison, n, field, bins) for n, batch_id in others]
            if field
            else [],
            indexed=comparison.count("all"),
            complete=complete,
            first_requests=[_first_request(context, batch_id) for batch_id in batch_ids] if setup else None,
        )


def _first_request(context: Context, batch_id: str) -> dict[str, Any] | None:
    row = progress.get_row(context.database, batch_id=batch_id, line=1)
    return request_of(context, find_batch(context, batch_id), row) if row else None


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


@router.get("/rows", responses=failures(400, 404))
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
    complete = _refreshed(context, batch_ids)
    with context.indexes.reading(*batch_ids) as index:
        table = Table(index, len(batch_ids))
        rows = table.rows(asked, columns=columns, offset=offset, limit=limit)
        return JoinedTable(
            data=[
                JoinedRow(custom_id=custom_id, answers=[answer_row(one) for one in answers])
                for custom_id, answers in rows
            ],
            total=table.count(asked),
            offset=offset,
            found=table.place_of(find, asked) if find else None,
            indexed=table.count(),
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
    _refreshed(context, batch_ids)
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
    names = _names(context, _found(context, batch_ids))
    _refreshed(context, batch_ids, seconds=math.inf)
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
