"""/v1/files: what was uploaded and what came out, as files. OpenAI's shapes and rules."""

import asyncio
import logging
import time
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from batch_app.api import downloads
from batch_app.api.context import Ctx
from batch_app.api.errors import ApiError
from batch_app.api.housekeeping import remove_bytes
from batch_app.api.multipart_form import FILE_FIELDS, Form, idempotency_key, media_type, read_form
from batch_app.api.openapi import DOWNLOAD, DOWNLOAD_HEADERS, IDEMPOTENCY_KEY, failures
from batch_app.api.schemas import batches
from batch_app.errors import FileMissingError
from batch_app.ids import FILE_ID
from batch_app.options import check_lifetime
from batch_app.store import files
from batch_app.store.files import StoredFile

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1/files", tags=["files"])

FileId = Annotated[str, Path(description="a file id, as a batch has it")]
_UPLOAD = {
    "parameters": [IDEMPOTENCY_KEY],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {"type": "string", "enum": ["batch"]},
                        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
                        "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2_592_000},
                    },
                }
            }
        },
    },
}


@router.post("", openapi_extra=_UPLOAD, responses=failures(400, 413, 415, 422))
async def upload_file(request: Request, context: Ctx) -> batches.FileObject:
    """Upload a file of requests for batches to come. It is checked when a batch is made of it."""
    if media_type(request) != "multipart/form-data":
        raise ApiError(415, "unsupported_media_type", "Send a multipart form with 'file' and 'purpose'.")
    key = idempotency_key(request)
    form = await read_form(request, fields=FILE_FIELDS, max_file_bytes=context.settings.max_file_bytes)
    try:
        _check_purpose(form.texts.get("purpose"))
        file = await asyncio.to_thread(
            context.submissions.upload,
            form.file,
            form.filename,
            lifetime=_lifetime(form),
            idempotency_key=key,
            now=time.time(),
        )
    finally:
        await form.close()
    log.info("file_uploaded", extra={"file_id": file.id, "request_id": request.scope["request_id"]})
    return _view(file)


def _check_purpose(purpose: str | None) -> None:
    if purpose is None:
        message = "Missing required parameter: 'purpose'."
        raise ApiError(400, "missing_required_parameter", message, param="purpose")
    if purpose != "batch":
        message = f"'purpose' must be 'batch'; got {purpose[:40]!r}."
        raise ApiError(400, "invalid_value", message, param="purpose")


def _lifetime(form: Form) -> int | None:
    seconds, anchor = form.texts.get("expires_after[seconds]"), form.texts.get("expires_after[anchor]")
    if seconds is None and anchor is None:
        return None
    if anchor != "created_at":
        message = "'expires_after[anchor]' must be 'created_at'."
        raise ApiError(400, "invalid_value", message, param="expires_after[anchor]")
    number = int(seconds) if seconds is not None and seconds.isdecimal() and len(seconds) < 10 else None
    return check_lifetime(number, param="expires_after[seconds]")


def _view(file: StoredFile) -> batches.FileObject:
    return batches.FileObject(
        id=file.id,
        bytes=file.bytes,
        created_at=int(file.created_at),
        expires_at=batches.seconds(file.expires_at),
        filename=file.filename,
        purpose=file.purpose,
    )


@router.get("", responses=failures(400, 404))
def list_files(
    context: Ctx,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    after: Annotated[str | None, Query(description="the id of the last file already seen")] = None,
    order: Literal["asc", "desc"] = "desc",
    purpose: str | None = None,
) -> batches.FileList:
    """Uploaded and produced files, newest first unless asked otherwise."""
    found = files.list_files(
        context.database, limit=limit + 1, newest_first=order == "desc", after=after, purpose=purpose
    )
    page = found[:limit]
    return batches.FileList(
        data=[_view(file) for file in page],
        first_id=page[0].id if page else None,
        last_id=page[-1].id if page else None,
        has_more=len(found) > limit,
    )


def _require_id(file_id: str) -> None:
    if not FILE_ID.fullmatch(file_id):
        raise FileMissingError(file_id)


@router.get("/{file_id}", responses=failures(404))
def get_file(file_id: FileId, context: Ctx) -> batches.FileObject:
    """A file's name, size and purpose."""
    _require_id(file_id)
    return _view(files.get_file(context.database, file_id=file_id))


@router.delete("/{file_id}", responses=failures(404, 409))
def delete_file(file_id: FileId, request: Request, context: Ctx) -> batches.FileDeleted:
    """Delete a file. One that an unfinished batch needs stays."""
    _require_id(file_id)
    file = files.delete_file(context.database, file_id=file_id, now=time.time())
    remove_bytes(context, file)
    log.info("file_deleted", extra={"file_id": file_id, "request_id": request.scope["request_id"]})
    return batches.FileDeleted(id=file_id)


@router.head(
    "/{file_id}/content", response_class=Response, responses=DOWNLOAD, openapi_extra=DOWNLOAD_HEADERS
)
@router.get("/{file_id}/content", response_class=Response, responses=DOWNLOAD, openapi_extra=DOWNLOAD_HEADERS)
def download_file(
    file_id: FileId,
    request: Request,
    context: Ctx,
    offset: Annotated[int, Query(ge=0, le=2**62, description="answers already downloaded")] = 0,
) -> Response:
    """The bytes, as a download; Range is understood. Of a file of answers also those behind the first `offset`."""
    _require_id(file_id)
    return downloads.published_file(context, request, file_id, offset=offset)
