"""Answers as files: CSV that is safe to open in a spreadsheet, and JSON Lines."""

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO, Final, Literal

import orjson
from fastapi.responses import Response, StreamingResponse

Format = Literal["csv", "jsonl"]
_MEDIA_TYPES: Final[dict[Format, str]] = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
_PIECE_BYTES: Final = 256 * 1024
_ROWS_AT_ONCE: Final = 1000
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
FACTS: Final = ("status", "error_code", "finish_reason", "input_tokens", "output_tokens", "seconds", "text")


class Export:
    """A file of many rows, complete before any of it is sent: a client that reads slowly, or stops, would hold the
    index."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._spool: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115  # closed behind its last byte
        try:
            self._spool.writelines(pieces)
        except BaseException:
            self._spool.close()
            raise

    def response(self, name: str, format: Format) -> Response:  # noqa: A002  # the parameter's name
        headers = {
            "content-disposition": f'attachment; filename="{name}.{format}"',
            "content-length": str(self._spool.tell()),
        }
        return StreamingResponse(self._from_start(), media_type=_MEDIA_TYPES[format], headers=headers)

    def _from_start(self) -> Iterator[bytes]:
        with self._spool:
            self._spool.seek(0)
            while piece := self._spool.read(_PIECE_BYTES):
                yield piece


def as_jsonl(rows: Iterator[Any]) -> Iterator[bytes]:
    while page := list(islice(rows, _ROWS_AT_ONCE)):
        yield b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in page)


def as_csv(head: Sequence[str], rows: Iterator[list[Any]]) -> Iterator[bytes]:
    lines: list[Sequence[Any]] = [head]
    while lines := [*lines, *islice(rows, _ROWS_AT_ONCE)]:
        text = io.StringIO()
        csv.writer(text).writerows([_cell(value) for value in row] for row in lines)
        yield text.getvalue().encode()
        lines = []


def cells(answer: dict[str, Any] | None, columns: int) -> list[Any]:
    """What a CSV has of an answer: FACTS and the values of so many columns; nothing where there is no answer."""
    if answer is None:
        return [None] * (len(FACTS) + columns)
    return [*(answer[name] for name in FACTS), *answer["values"].values()]


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets an apostrophe in front."""
    if isinstance(value, dict | list | bool):
        return orjson.dumps(value).decode()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
