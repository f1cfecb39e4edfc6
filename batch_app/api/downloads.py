"""Answers as downloads: published files, and what is committed of a batch that is not finished yet."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path

import anyio
from fastapi import Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from starlette.responses import MalformedRangeHeader, RangeNotSatisfiable
from starlette.types import Receive, Scope, Send

from batch_app.api.context import Context
from batch_app.api.errors import ApiError
from batch_app.disk.files import AnswerKind, read_range, read_stream
from batch_app.states import FINAL_BATCH_STATES
from batch_app.store import batches, files, request_reads
from batch_app.store.batches import Batch
from batch_app.store.request_reads import CommittedBytes

_MEDIA_TYPE = "application/octet-stream"


class _OpenedFile(FileResponse):
    """Opened when it is made, before the answer begins: a file that is deleted from then on is still sent whole."""

    chunk_size = 512 * 1024  # each is read in a thread of its own: the fewer there are, the faster

    def __init__(self, path: Path, filename: str, headers: dict[str, str]) -> None:
        self._source = path.open("rb")
        found = os.fstat(self._source.fileno())
        super().__init__(path, media_type=_MEDIA_TYPE, filename=filename, headers=headers, stat_result=found)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._source:
            await super().__call__(scope, receive, send)

    @asynccontextmanager
    async def _open_file(self) -> AsyncIterator[anyio.AsyncFile[bytes]]:
        yield anyio.wrap_file(self._source)


def published_file(context: Context, request: Request, file_id: str, *, offset: int) -> Response:
    """A stored file, with Range, If-Range, ETag and Content-Length; one of answers from behind line `offset` and with
    the number of its last line. Raises FileMissingError, ApiError 400 and 416.
    """
    try:
        return _published_file(context, request, file_id, offset)
    except FileNotFoundError:
        files.get_file(context.database, file_id=file_id)  # raises FileMissingError: it was deleted meanwhile
        raise


def _published_file(context: Context, request: Request, file_id: str, offset: int) -> Response:
    file = files.get_file(context.database, file_id=file_id)
    batch = batches.batch_with_answers(context.database, file_id=file_id)
    if batch is None and offset:
        message = "'offset' counts answers: only the output and the error file of a batch have any."
        raise ApiError(400, "invalid_value", message, param="offset")
    kind: AnswerKind = "output" if batch is not None and file_id == batch.output_file_id else "error"
    if batch is not None and offset:
        return _stream(context, batch, kind, offset)
    etag = f'"{file.sha256}"'
    headers = {"etag": etag}
    if batch is not None:
        part = request_reads.committed_bytes(context.database, batch_id=batch.id, kind=kind)
        headers["x-last-line"] = str(part.lines)
    known = request.headers.get("if-none-match", "")
    if etag in known or known.strip() == "*":
        return Response(status_code=304, headers=headers)
    _check_range(request, file.bytes)
    return _OpenedFile(context.settings.data_dir / file.path, file.filename, headers)


def _check_range(request: Request, size: int) -> None:
    """A Range that cannot be understood is ignored (RFC 9110, 14.2); one past the end is a 416."""
    wanted = request.headers.get("range")
    if wanted is None:
        return
    try:
        FileResponse._parse_range_header(wanted, size)  # noqa: SLF001  # its own answers lack the error shape
    except (MalformedRangeHeader, ValueError):
        headers = request.scope["headers"]
        request.scope["headers"] = [(name, value) for name, value in headers if name != b"range"]
    except RangeNotSatisfiable:
        message = f"The range {wanted[:80]!r} lies behind the end; the file has {size} bytes."
        headers_416 = {"content-range": f"bytes */{size}"}
        raise ApiError(416, "range_not_satisfiable", message, headers=headers_416) from None


def answers(context: Context, request: Request, batch: Batch, *, offset: int) -> Response:
    """The answers of a batch, from behind line `offset`: all of them, or those committed so far."""
    if batch.output_file_id is not None and offset == 0:
        return published_file(context, request, batch.output_file_id, offset=0)
    return _stream(context, batch, "output", offset)


def _stream(context: Context, batch: Batch, kind: AnswerKind, offset: int) -> StreamingResponse:
    part = request_reads.committed_bytes(context.database, batch_id=batch.id, kind=kind, skip=offset)
    headers = {
        "content-length": str(part.end - part.start),
        "content-disposition": f'attachment; filename="{batch.id}_{kind}.jsonl"',
        "x-last-line": str(part.lines),
    }
    if batch.status not in FINAL_BATCH_STATES:
        headers["x-incomplete"] = "true"
    pieces = _pieces(context, batch, kind, part)
    # The first piece is read before the answer begins: a batch that ends meanwhile is noticed in time.
    first = next(pieces, b"")
    return StreamingResponse(chain([first], pieces), media_type=_MEDIA_TYPE, headers=headers)


def _pieces(context: Context, batch: Batch, kind: AnswerKind, part: CommittedBytes) -> Iterator[bytes]:
    """The same bytes from the logs, or from the published file that they have become."""
    if part.start == part.end:
        return iter(())
    file_id = batch.output_file_id if kind == "output" else batch.error_file_id
    if file_id is not None:
        file = files.get_file(context.database, file_id=file_id)
        return read_range(context.settings.data_dir / file.path, part.start, part.end - part.start)
    return read_stream(context.settings.work_dir / batch.id, kind, part.start, part.end)
