"""Routes of /v1/compare: two to four batches joined by custom_id, summed up and side by side."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from batch_app.answer_index.comparisons import Comparison, Only
from batch_app.api.answer_serializers import field_object
from batch_app.api.context import Context, Ctx
from batch_app.api.lookups import find_batch, refresh_indexes, request_of
from batch_app.api.openapi import failures
from batch_app.api.params import Bins, Compared, FieldPath, Offset
from batch_app.api.schemas.answers import (
    Agreement,
    BinObject,
    ComparedAnswer,
    ComparedRow,
    ComparedRows,
    ComparisonObject,
    FieldChanges,
    SideChange,
    SideSummary,
)
from batch_app.store import request_reads

router = APIRouter(prefix="/v1/compare", tags=["reading"])

_COMPARED_CHARACTERS = 4000


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
    complete = refresh_indexes(context, batch_ids)
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
            changes=_changes(batch_ids, comparison, field, bins) if field else [],
            indexed=comparison.count("all"),
            complete=complete,
            first_requests=[_first_request(context, batch_id) for batch_id in batch_ids] if setup else None,
        )


@router.get("/changes", responses=failures(400, 404))
def compare_field(
    context: Ctx, batch_ids: Compared, field: Annotated[str, Query(max_length=500)], bins: Bins = 20
) -> FieldChanges:
    """How a field differs, and nothing else of the comparison."""
    refresh_indexes(context, batch_ids)
    with context.indexes.reading(*batch_ids) as index:
        changes = _changes(batch_ids, Comparison(index, len(batch_ids)), field, bins)
        return FieldChanges(field=field, changes=changes)


def _first_request(context: Context, batch_id: str) -> dict[str, Any] | None:
    row = request_reads.get_row(context.database, batch_id=batch_id, line=1)
    return request_of(context, find_batch(context, batch_id), row) if row else None


def _side(batch_id: str, comparison: Comparison, number: int) -> SideSummary:
    found = comparison.summary(number)
    return SideSummary(batch_id=batch_id, **asdict(found), different=found.both - found.same)


def _changes(batch_ids: list[str], comparison: Comparison, path: str, bins: int) -> list[SideChange]:
    return [
        _change(batch_id, comparison, number, path, bins) for number, batch_id in enumerate(batch_ids[1:], 1)
    ]


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
    refresh_indexes(context, batch_ids)
    with context.indexes.reading(*batch_ids) as index:
        comparison = Comparison(index, len(batch_ids))
        found, total = comparison.rows(
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
    return ComparedRows(data=data, total=total, offset=offset)


def _compared(answer: dict[str, Any] | None) -> ComparedAnswer | None:
    if answer is None:
        return None
    text = answer.pop("text")
    return ComparedAnswer(**answer, text=text[:_COMPARED_CHARACTERS], is_cut=len(text) > _COMPARED_CHARACTERS)
