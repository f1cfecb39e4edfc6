"""/v1/files: what was uploaded and what came out, as files."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from batch_app.api import downloads, wire
from batch_app.api.context import Ctx
from batch_app.api.errors import ApiError
from batch_app.ids import FILE_ID
from batch_app.store import files

router = APIRouter(prefix="/v1/files", tags=["files"])

FileId = Annotated[str, Path(description="a file id, as a batch has it")]


@router.get("/{file_id}")
def get_file(file_id: FileId, context: Ctx) -> wire.FileObject:
    """A file's name, size and purpose."""
    file = files.get_file(context.database, file_id=file_id) if FILE_ID.fullmatch(file_id) else None
    if file is None:
        raise ApiError(404, "not_found", f"No file found with id '{file_id}'.", param="file_id")
    return wire.FileObject(
        id=file.id,
        bytes=file.bytes,
        created_at=int(file.created_at),
        expires_at=wire.seconds(file.expires_at),
        filename=file.filename,
        purpose=file.purpose,
    )


@router.head("/{file_id}/content", include_in_schema=False)
@router.get("/{file_id}/content", response_class=Response)
def download_file(file_id: FileId, request: Request, context: Ctx) -> Response:
    """The bytes, as a download; Range is understood."""
    if not FILE_ID.fullmatch(file_id):
        raise ApiError(404, "not_found", f"No file found with id '{file_id}'.", param="file_id")
    return downloads.published_file(context, request, file_id)
