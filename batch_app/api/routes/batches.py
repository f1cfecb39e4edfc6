"""Routes of /v1/batches: submit, list, read, cancel, retry."""

import asyncio
import logging
import tempfile
import time
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request

from batch_app import options
from batch_app.api import serializers
from batch_app.api.batch_spec import BatchSpec
from batch_app.api.context import Context, Ctx
from batch_app.api.errors import ApiError
from batch_app.api.json_creation import CREATION_SCHEMA, read_creation
from batch_app.api.lookups import find_batch
from batch_app.api.multipart_form import BATCH_FIELDS, idempotency_key, media_type, read_form
from batch_app.api.openapi import IDEMPOTENCY_KEY, failures
from batch_app.api.params import BatchId
from batch_app.api.schemas import batches as schemas
from batch_app.disk.files import read_range
from batch_app.errors import FileMissingError
from batch_app.options import OPTIONS
from batch_app.states import FINAL_BATCH_STATES, OPEN_BATCH_STATES, BatchStatus
from batch_app.store import batches, files, request_reads
from batch_app.store.batches import Batch

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1/batches", tags=["batches"])

_STATUS_WORDS = {"pending": BatchStatus.QUEUED, "validating": BatchStatus.QUEUED}
_FORM_SCHEMA = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "JSONL, one request a line"},
        "model": {"type": "string", "description": "overrides the model in the lines"},
        **{option.name: option.form_schema for option in OPTIONS if option.form_schema is not None},
    },
}
_BODIES = {
    "parameters": [IDEMPOTENCY_KEY],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _FORM_SCHEMA},
            "application/json": {"schema": CREATION_SCHEMA},
        },
    },
}


@router.post("", openapi_extra=_BODIES, responses=failures(400, 404, 413, 415, 422, 429, 503))
async def submit_batch(request: Request, context: Ctx) -> schemas.Receipt | schemas.BatchObject:
    """Submit a file of requests as a form, which is checked at once and gets a receipt; or, as OpenAI's clients
    do, name an uploaded file, and get a batch object."""
    kind = media_type(request)
    if kind == "multipart/form-data":
        return await _submit_form(request, context)
    if kind == "application/json":
        return await _create_from_file(request, context)
    message = "Send a multipart form: curl -F file=@requests.jsonl -F model=MODEL …/v1/batches"
    raise ApiError(415, "unsupported_media_type", message)


async def _create_from_file(request: Request, context: Context) -> schemas.BatchObject:
    creation = await read_creation(request)
    batch = await asyncio.to_thread(
        context.submissions.create,
        creation.spec,
        file_id=creation.input_file_id,
        endpoint=creation.endpoint,
        now=time.time(),
    )
    _log_accepted(batch, request)
    return await asyncio.to_thread(
        serializers.accepted_object, context.database, context.settings, batch, now=time.time()
    )


async def _submit_form(request: Request, context: Context) -> schemas.Receipt:
    key = idempotency_key(request)
    if key is None:  # a known key is answered even when the queue is full, or the GPU unfit
        await asyncio.to_thread(context.submissions.require_fit_gpu)
        await asyncio.to_thread(context.submissions.require_room)
    form = await read_form(request, fields=BATCH_FIELDS, max_file_bytes=context.settings.max_file_bytes)
    try:
        spec = BatchSpec(
            model=form.texts.get("model"),
            filename=form.filename,
            idempotency_key=key,
            **options.from_form(form.texts),
        )
        batch = await asyncio.to_thread(context.submissions.accept, form.file, spec, now=time.time())
    finally:
        await form.close()
    _log_accepted(batch, request)
    return serializers.receipt(batch)


def _log_accepted(batch: Batch, request: Request) -> None:
    ids = {"batch_id": batch.id, "request_id": request.scope["request_id"]}
    log.info("batch_accepted", extra={**ids, "model": batch.served_model, "requests": batch.total_requests})


@router.head("", include_in_schema=False)
@router.get("", responses=failures(400, 404))
def list_batches(
    context: Ctx,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(description="the id of the last batch already seen")] = None,
    status: Annotated[
        list[str] | None, Query(description="only these; `active` means every open one")
    ] = None,
) -> schemas.BatchList:
    """Every batch, newest first."""
    statuses = sorted({state for word in status or [] for state in _statuses(word)})
    found = batches.list_batches(context.database, limit=limit + 1, after=after, statuses=statuses)
    page = found[:limit]
    return schemas.BatchList(
        data=serializers.batch_objects(context.database, context.settings, page, now=time.time()),
        first_id=page[0].id if page else None,
        last_id=page[-1].id if page else None,
        has_more=len(found) > limit,
        counts=_counts(context),
    )


def _statuses(word: str) -> list[BatchStatus]:
    if word == "active":
        return sorted(OPEN_BATCH_STATES)
    if word in _STATUS_WORDS:
        return [_STATUS_WORDS[word]]
    if word in set(BatchStatus):
        return [BatchStatus(word)]
    message = f"'status' is {word[:40]!r}; there are active, pending, {', '.join(BatchStatus)}."
    raise ApiError(400, "invalid_value", message, param="status")


def _counts(context: Context) -> dict[str, int]:
    by_status = batches.count_batches_by_status(context.database)
    counts = {str(status): by_status.get(status, 0) for status in BatchStatus}
    active = sum(by_status.get(status, 0) for status in OPEN_BATCH_STATES)
    return {"active": active, **counts, "all": sum(by_status.values())}


def _view(context: Context, batch: Batch) -> schemas.BatchObject:
    return serializers.batch_objects(context.database, context.settings, [batch], now=time.time())[0]


@router.get("/{batch_id}", responses=failures(404))
def get_batch(batch_id: BatchId, context: Ctx) -> schemas.BatchObject:
    """Status, counts, progress, rates, and when it will be done."""
    return _view(context, find_batch(context, batch_id))


@router.delete("/{batch_id}", responses=failures(404, 409))
@router.post("/{batch_id}/cancel", responses=failures(404, 409))
def cancel_batch(batch_id: BatchId, request: Request, context: Ctx) -> schemas.BatchObject:
    """Cancel. Answers that are there already stay in the output file; the other lines go to the error file."""
    find_batch(context, batch_id)
    batch = batches.request_cancel(context.database, batch_id=batch_id, now=time.time())
    log.info(
        "batch_cancel_requested", extra={"batch_id": batch_id, "request_id": request.scope["request_id"]}
    )
    return _view(context, batch)


@router.post(
    "/{batch_id}/retry",
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
    responses=failures(400, 404, 409, 422, 429, 503),
)
def retry_batch(batch_id: BatchId, request: Request, context: Ctx) -> schemas.Receipt:
    """A new batch from the lines that ended without an answer; the old one stays as it is, and names it."""
    key = idempotency_key(request)
    parent = find_batch(context, batch_id)
    if parent.status not in FINAL_BATCH_STATES:
        message = f"Batch '{batch_id}' is not finished; retry it when it is, or cancel it first."
        raise ApiError(409, "batch_not_finished", message, headers={"x-should-retry": "false"})
    places = request_reads.unsuccessful_inputs(context.database, batch_id=batch_id)
    if not places:
        message = f"Batch '{batch_id}' has no failed, cancelled or expired requests: nothing to retry."
        raise ApiError(400, "nothing_to_retry", message)
    spec = _spec_of_retry(context, parent, key)
    batch = context.submissions.earlier(spec, parent.endpoint, parent.id, now=time.time())
    batch = batch or _resubmit(context, parent, spec, places)
    _log_accepted(batch, request)
    return serializers.receipt(batch)


def _spec_of_retry(context: Context, parent: Batch, key: str | None) -> BatchSpec:
    """Returns the parent's options; a window that is no longer allowed gives way to the first that is."""
    window, allowed = parent.completion_window, context.settings.window_seconds
    again = options.values_of(parent)
    if window is not None and window not in allowed:
        again["completion_window"] = next(iter(allowed))
    return BatchSpec(
        model=parent.model,
        filename="",  # that of the parent's file, which may be deleted by now
        dialect=parent.dialect,
        parent_batch_id=parent.id,
        idempotency_key=key,
        **again,
    )


def _resubmit(context: Context, parent: Batch, spec: BatchSpec, places: list[tuple[int, int]]) -> Batch:
    """Copy the lines out of the parent's input, and take the same way as any upload."""
    with tempfile.TemporaryFile() as lines:
        try:
            source = files.get_file(context.database, file_id=parent.input_file_id)
            for offset, length in places:
                for piece in read_range(context.settings.data_dir / source.path, offset, length):
                    lines.write(piece)
                lines.write(b"\n")
        except (FileMissingError, FileNotFoundError):  # the one before this call, the other during it
            message = f"The input file of batch '{parent.id}' was deleted: its lines cannot be sent again."
            no_retry = {"x-should-retry": "false"}
            raise ApiError(409, "input_file_deleted", message, headers=no_retry) from None
        lines.seek(0)
        spec = replace(spec, filename=source.filename)
        return context.submissions.accept(lines, spec, content=parent.id, now=time.time())
