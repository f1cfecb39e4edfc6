"""/v1/batches/{id}/…: the answers as one file, the errors, the requests given up on, and the ledger line by line."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from batch_app.api import answer_search, downloads
from batch_app.api.context import Ctx
from batch_app.api.lookups import find_batch
from batch_app.api.openapi import DOWNLOAD, DOWNLOAD_HEADERS, failures
from batch_app.api.params import BatchId
from batch_app.api.schemas.requests import (
    DeadLetter,
    DeadLetterList,
    ErrorGroupObject,
    ErrorGroups,
    ErrorSample,
    Row,
    RowList,
)
from batch_app.states import RequestStatus
from batch_app.store import request_reads
from batch_app.store.request_reads import RowFilter

router = APIRouter(prefix="/v1/batches", tags=["batches"])


@router.head(
    "/{batch_id}/results", response_class=Response, responses=DOWNLOAD, openapi_extra=DOWNLOAD_HEADERS
)
@router.get(
    "/{batch_id}/results", response_class=Response, responses=DOWNLOAD, openapi_extra=DOWNLOAD_HEADERS
)
def download_results(
    batch_id: BatchId,
    request: Request,
    context: Ctx,
    offset: Annotated[int, Query(ge=0, le=2**62, description="answers already downloaded")] = 0,
) -> Response:
    """The answers as JSONL; of an unfinished batch those so far (X-Incomplete, X-Last-Line)."""
    batch = find_batch(context, batch_id)
    try:
        return downloads.answers(context, request, batch, offset=offset)
    except (FileNotFoundError, EOFError):  # it ended between the look and the download
        return downloads.answers(context, request, find_batch(context, batch_id), offset=offset)


@router.get("/{batch_id}/errors", responses=failures(404))
def list_errors(batch_id: BatchId, context: Ctx) -> ErrorGroups:
    """What went wrong, grouped by error code, with one line of each as a sample."""
    batch = find_batch(context, batch_id)
    groups = request_reads.error_groups(context.database, batch_id=batch.id)
    data = [
        ErrorGroupObject(
            code=group.code,
            count=group.count,
            sample=ErrorSample(line=group.line, custom_id=group.custom_id, message=group.message),
        )
        for group in groups
    ]
    return ErrorGroups(data=data, total=sum(group.count for group in groups))


@router.get("/{batch_id}/dead_letters", responses=failures(400, 404))
def list_dead_letters(
    batch_id: BatchId,
    context: Ctx,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[int, Query(ge=0, le=2**62, description="the last line already seen")] = 0,
) -> DeadLetterList:
    """The requests that were given up on, each with its reason and the batch that retried it."""
    batch = find_batch(context, batch_id)
    found = request_reads.list_dead_letters(context.database, batch_id=batch.id, after=after, limit=limit + 1)
    letters = [DeadLetter(**letter) for letter in found[:limit]]
    return DeadLetterList(data=letters, has_more=len(found) > limit)


@router.get("/{batch_id}/requests", responses=failures(400, 404))
def list_requests(
    batch_id: BatchId,
    context: Ctx,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[int, Query(ge=0, le=2**62, description="the last line already seen")] = 0,
    status: RequestStatus | None = None,
    code: Annotated[str | None, Query(description="error code")] = None,
    custom_id: Annotated[str | None, Query(max_length=512, description="how it begins")] = None,
    text: Annotated[
        str | None, Query(min_length=1, max_length=500, description="what the answer has in it")
    ] = None,
) -> RowList:
    """The ledger: one row per input line, in the order of the file."""
    batch = find_batch(context, batch_id)
    wanted = RowFilter(status, code, custom_id)
    if text is not None:
        found, next_after = answer_search.search(
            context, batch.id, text, wanted=wanted, after=after, limit=limit
        )
        data = [Row(**row) for row in found]
        return RowList(data=data, has_more=next_after is not None, next_after=next_after, total=None)
    rows, total = request_reads.list_rows(
        context.database, batch_id=batch.id, wanted=wanted, after=after, limit=limit + 1
    )
    data = [Row(**row) for row in rows[:limit]]
    has_more = len(rows) > limit
    next_after = data[-1].line if has_more else None
    return RowList(data=data, has_more=has_more, next_after=next_after, total=total)
