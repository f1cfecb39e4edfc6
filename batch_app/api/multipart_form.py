"""Receives a multipart form: streamed to a temporary file, its bytes counted as they come.

A form that is too large is refused at the limit, not after it. Starlette parses; this file bounds and names things.
"""

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import BinaryIO

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from batch_app.api.errors import ApiError
from batch_app.options import OPTIONS

_FORM_OVERHEAD_BYTES = 64 * 1024  # boundaries, part headers and the small fields
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
BATCH_FIELDS = frozenset(
    {"file", "model", *(option.name for option in OPTIONS if option.form_schema is not None)}
)
FILE_FIELDS = frozenset({"file", "purpose", "expires_after[anchor]", "expires_after[seconds]"})


@dataclass(frozen=True)
class Form:
    """A form with one file, and text fields among those that were asked for. Close it when done."""

    file: BinaryIO
    filename: str
    texts: dict[str, str]
    data: FormData

    async def close(self) -> None:
        await self.data.close()


def media_type(request: Request) -> str:
    """What the body is said to be, without parameters such as a boundary."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_form(request: Request, *, fields: frozenset[str], max_file_bytes: int) -> Form:
    """Raises ApiError: 413 past the limit, 400 for a form with other fields or without a file."""
    limit = max_file_bytes + _FORM_OVERHEAD_BYTES
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise _too_large(max_file_bytes)
    _, options = parse_options_header(request.headers.get("content-type"))
    if options.get(b"charset", b"utf-8").lower() != b"utf-8":
        raise ApiError(400, "invalid_form", "The form must be in UTF-8.")
    parser = _Parser(request.headers, _counted(request, limit), max_files=2, max_fields=10)
    try:
        return _check(await _parse(parser, max_file_bytes), fields, max_file_bytes)
    except (ApiError, OSError):
        for file in parser._files_to_close_on_error:  # noqa: SLF001  # Starlette forgets a part that broke off
            file.close()
        raise


class _Parser(MultiPartParser):
    """Starlette's, which takes a form that breaks off for one that ends, reads as latin-1 what is no UTF-8, and of two
    fields of one name takes the last. Raises ApiError 400."""

    has_ended = False

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        name = self._current_part.field_name
        if name in dict(self.items):
            message = f"The form has {name[:80]!r} more than once: send it once."
            raise ApiError(400, "invalid_form", message, param=name[:80])

    def on_part_end(self) -> None:
        super().on_part_end()
        try:
            self._current_part.data.decode()
        except UnicodeDecodeError:
            name = self._current_part.field_name[:80]
            message = f"{name!r} is not UTF-8 text: send it in UTF-8."
            raise ApiError(400, "invalid_form", message, param=name) from None

    def on_end(self) -> None:
        super().on_end()
        self.has_ended = True


async def _parse(parser: _Parser, max_file_bytes: int) -> FormData:
    try:
        form = await parser.parse()
    except _TooLargeError:
        raise _too_large(max_file_bytes) from None
    except MultiPartException as error:
        message = (
            f"The form cannot be read: {error.message} Send it as multipart/form-data with a 'file' part."
        )
        raise ApiError(400, "invalid_form", message) from None
    if not parser.has_ended:
        raise ApiError(400, "invalid_form", "The form cannot be read: it ends before its last boundary.")
    return form


class _TooLargeError(MultiPartException):
    """Of the parser's own kind, so that it cleans up."""


async def _counted(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    received = 0
    async for piece in request.stream():
        received += len(piece)
        if received > limit:
            raise _TooLargeError("too large")
        yield piece


def _too_large(max_file_bytes: int) -> ApiError:
    mebibytes = max_file_bytes / 1024**2
    message = f"The file is larger than {mebibytes:.6g} MiB ({max_file_bytes} bytes): split it into several batches."
    # The rest of the upload is not read: the connection cannot be used again.
    return ApiError(413, "file_too_large", message, param="file", headers={"connection": "close"})


def _check(data: FormData, fields: frozenset[str], max_file_bytes: int) -> Form:
    if unknown := sorted(set(data) - fields):
        message = f"Unknown form field {unknown[0]!r}; there are {', '.join(sorted(fields))}."
        raise ApiError(400, "unknown_parameter", message, param=unknown[0])
    file = data.get("file")
    if not isinstance(file, UploadFile):
        message = "Missing required parameter: 'file' (a JSONL file, sent as a file part of the form)."
        raise ApiError(400, "missing_required_parameter", message, param="file")
    if (file.size or 0) > max_file_bytes:
        raise _too_large(max_file_bytes)
    texts = {name: text for name in sorted(fields - {"file"}) if (text := _text(data, name))}
    return Form(file.file, _printable(file.filename or "upload"), texts, data)


def _text(data: FormData, name: str) -> str | None:
    value = data.get(name)
    if isinstance(value, UploadFile):
        raise ApiError(400, "invalid_type", f"'{name}' must be a text field, not a file.", param=name)
    return value.strip() or None if value is not None else None


def _printable(filename: str) -> str:
    """Any name is accepted, but control characters have no place in lists and headers."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in filename)[:255]


def idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        message = "'Idempotency-Key' must be 1 to 255 visible ASCII characters."
        raise ApiError(400, "invalid_value", message, param="idempotency-key")
    return key
