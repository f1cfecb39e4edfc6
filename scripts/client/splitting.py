"""Reads an input of any size once: checks every line, cuts it into parts within the server's limits, hashes
it.

Nothing is held but the first bad lines and the plan; the custom_ids seen go to a temporary database that
spills to disk. What a line is, and the rules that look at one, are the server's own.
"""

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from batch_app.input.file_lines import FileLine, read_lines
from batch_app.input.request_lines import LineError, ParsedRequest, RejectedLine, check_line
from scripts.client.errors import BadLinesError, ClientError

MAX_REPORTED: Final = 100
_HASH_BYTES: Final = 1024 * 1024
_REPORT_EVERY_LINES: Final = 5_000


@dataclass(frozen=True)
class Limits:
    """What the server takes: the most that one part and one line may hold, and whether grammars."""

    requests: int
    bytes: int
    line_bytes: int
    allow_grammars: bool = False


@dataclass(frozen=True)
class Piece:
    """A run of whole lines of the input. `first_line` counts from 1; blank lines are inside but not
    `requests`.
    """

    first_line: int
    requests: int
    offset: int
    length: int


@dataclass(frozen=True)
class Plan:
    sha256: str
    bytes: int
    pieces: list[Piece]

    @property
    def requests(self) -> int:
        return sum(piece.requests for piece in self.pieces)


def plan(source: Path, limits: Limits, *, on_bytes: Callable[[int], None] = lambda _done: None) -> Plan:
    """Check and cut the input. Raises BadLinesError with every bad line (the first 100 and the total).

    `on_bytes` is told now and then how far the reading is.
    """
    with closing(_SeenIds()) as seen:
        return _Reader(source, limits, seen, on_bytes).run()


def digest(source: Path) -> str:
    """The SHA-256 of the input, in hexadecimal."""
    found = hashlib.sha256()
    with source.open("rb") as file:
        while data := file.read(_HASH_BYTES):
            found.update(data)
    return found.hexdigest()


class _Reader:
    def __init__(
        self, source: Path, limits: Limits, seen: "_SeenIds", on_bytes: Callable[[int], None]
    ) -> None:
        self._source, self._limits, self._seen, self._on_bytes = source, limits, seen, on_bytes
        self._digest = hashlib.sha256()
        self._cutter = _Cutter(limits)
        self._errors: list[LineError] = []
        self._total_errors = 0
        self._endpoint: str | None = None

    def run(self) -> Plan:
        done, longest = 0, self._limits.line_bytes
        with self._source.open("rb") as file:
            for line in read_lines(file, max_line_bytes=longest, on_read=self._digest.update):
                self._take(line)
                done = line.offset + line.length
                if line.number % _REPORT_EVERY_LINES == 0:
                    self._on_bytes(done)
        self._on_bytes(done)
        pieces = self._cutter.finish()
        if self._total_errors:
            raise BadLinesError(f"{self._source} was not sent", self._errors, self._total_errors)
        if not pieces:
            raise ClientError(f"{self._source} has no requests in it")
        return Plan(self._digest.hexdigest(), done, pieces)

    def _take(self, line: FileLine) -> None:
        if line.is_too_long or line.length > self._limits.bytes:
            limit = min(self._limits.line_bytes, self._limits.bytes)
            message = f"The line is longer than {limit} bytes."
            self._report([LineError(line.number, "line_too_long", message)])
        elif not line.is_blank:
            self._check(line.text, line.number)
        self._cutter.add(line.number, line.offset, line.length, is_request=not line.is_blank)

    def _check(self, text: bytes, number: int) -> None:
        line = check_line(
            text,
            number,
            model_given=True,
            endpoint=self._endpoint,
            allow_grammars=self._limits.allow_grammars,
        )
        wrong = line.errors if isinstance(line, RejectedLine) else []
        if isinstance(line, ParsedRequest):
            self._endpoint = line.url
        if line.custom_id is not None and (first := self._seen.add(line.custom_id, number)) != number:
            message = f"'custom_id' {line.custom_id!r} was already used on line {first}."
            wrong = [*wrong, LineError(number, "duplicate_custom_id", message, "custom_id")]
        self._report(wrong)

    def _report(self, wrong: list[LineError]) -> None:
        self._total_errors += len(wrong)
        self._errors.extend(wrong[: MAX_REPORTED - len(self._errors)])


class _Cutter:
    """Closes a part before the line that would make it too large. Blank lines go with the one before."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pieces: list[Piece] = []
        self._first_line, self._offset = 1, 0
        self._requests = self._bytes = 0

    def add(self, number: int, offset: int, length: int, *, is_request: bool) -> None:
        too_many = self._requests + is_request > self._limits.requests
        if too_many or self._bytes + length > self._limits.bytes:
            self._close()
            self._first_line, self._offset = number, offset
        self._requests += is_request
        self._bytes += length

    def finish(self) -> list[Piece]:
        self._close()
        return self._pieces

    def _close(self) -> None:
        if self._requests:
            self._pieces.append(Piece(self._first_line, self._requests, self._offset, self._bytes))
        self._requests = self._bytes = 0


class _SeenIds:
    """Remembers, exactly, on which line each custom_id came first, in a database without a name."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode=OFF")
        self._database.execute("PRAGMA cache_size=-32768")
        self._database.execute("CREATE TABLE seen (custom_id TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def add(self, custom_id: str, line: int) -> int:
        """The line this id was first seen on: `line` itself when it is new."""
        added = self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (custom_id, line))
        if added.rowcount:
            return line
        row = self._database.execute("SELECT line FROM seen WHERE custom_id = ?", (custom_id,)).fetchone()
        return int(row[0])

    def close(self) -> None:
        self._database.close()
