"""Reads an input file once: copies, hashes and checks it line by line.

One scan serves every way a file comes in. Knows the rules that look at several lines; `jsonl` knows a single line's.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from batch_app.input.file_lines import FileLine, read_lines
from batch_app.input.line_order import RequestSketch, sketch
from batch_app.input.request_digest import request_digest
from batch_app.input.request_lines import LineError, ParsedRequest, RejectedLine, check_line

MAX_REPORTED_ERRORS = 100


@dataclass(frozen=True, slots=True)
class ScannedRequest:
    """Where an accepted request lies in the input file, and its name. `copy_of` is the line of an earlier one that
    must get the same answer."""

    line: int
    custom_id: str
    offset: int
    length: int
    copy_of: int | None = None


@dataclass
class Scan:
    """What a scan found. `errors` holds the first MAX_REPORTED_ERRORS of `total_errors`."""

    lines: list[ScannedRequest] = field(default_factory=list)
    sketches: list[RequestSketch] = field(default_factory=list)  # of the same lines, if the rules want them
    errors: list[LineError] = field(default_factory=list)
    total_errors: int = 0
    bad_lines: int = 0
    unparseable_lines: int = 0
    total_lines: int = 0  # blank ones not counted
    bytes: int = 0
    sha256: str = ""
    endpoint: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class ScanOptions:
    """`endpoint` None: the first line decides. `model` None: the bodies name it, all the same one.
    `with_sketches`: the lines are to be put into an order of work. `find_copies`: those that must get the same
    answer are to be known."""

    max_requests: int
    max_line_bytes: int
    endpoint: str | None = None
    model: str | None = None
    is_known_model: Callable[[str], bool] = lambda _name: True
    allow_grammars: bool = False
    with_sketches: bool = False
    find_copies: bool = False


def scan(source: BinaryIO, rules: ScanOptions, *, copy_to: BinaryIO) -> Scan:
    """Read `source` to its end, copying every byte. Lines past `max_requests` are counted, not checked."""
    return _Scanner(source, rules, copy_to).run()


class _Scanner:
    def __init__(self, source: BinaryIO, rules: ScanOptions, copy_to: BinaryIO) -> None:
        self._source, self._rules, self._copy_to = source, rules, copy_to
        self._found = Scan(endpoint=rules.endpoint, model=rules.model)
        self._digest = hashlib.sha256()
        self._first_line_of: dict[str, int] = {}
        self._first_line_asking: dict[bytes, int] = {}

    def run(self) -> Scan:
        for line in read_lines(self._source, max_line_bytes=self._rules.max_line_bytes, on_read=self._keep):
            if not line.is_blank:
                self._take(line)
        self._found.sha256 = self._digest.hexdigest()
        return self._found

    def _keep(self, raw: bytes) -> None:
        self._digest.update(raw)
        self._copy_to.write(raw)
        self._found.bytes += len(raw)

    def _take(self, file_line: FileLine) -> None:
        number, text = file_line.number, file_line.text
        self._found.total_lines += 1
        if self._found.total_lines > self._rules.max_requests:
            return
        if file_line.is_too_long:
            limit = self._rules.max_line_bytes
            self._report([LineError(number, "line_too_long", f"The line is longer than {limit} bytes.")])
            return
        given = self._rules.model is not None
        line = check_line(
            text,
            number,
            model_given=given,
            endpoint=self._found.endpoint,
            allow_grammars=self._rules.allow_grammars,
        )
        wrong = line.errors if isinstance(line, RejectedLine) else self._conflicts(line, number)
        wrong = [*wrong, *self._duplicates(line.custom_id, number)]
        if isinstance(line, RejectedLine) or wrong:
            self._report(wrong)
        else:
            copy_of = self._original(line, number) if self._rules.find_copies else None
            self._found.lines.append(
                ScannedRequest(number, line.custom_id, file_line.start, len(text), copy_of)
            )
            if self._rules.with_sketches:
                self._found.sketches.append(sketch(number, line.body))

    def _original(self, request: ParsedRequest, number: int) -> int | None:
        asked = request_digest(request.url, request.body)
        first = number if asked is None else self._first_line_asking.setdefault(asked, number)
        return first if first != number else None

    def _conflicts(self, request: ParsedRequest, number: int) -> list[LineError]:
        """What an earlier line forbids. The first good line decides the endpoint, and the model."""
        self._found.endpoint = self._found.endpoint or request.url
        return self._model_conflicts(request, number)

    def _duplicates(self, custom_id: str | None, number: int) -> list[LineError]:
        if custom_id is None or (first := self._first_line_of.setdefault(custom_id, number)) == number:
            return []
        message = f"'custom_id' {custom_id!r} was already used on line {first}."
        return [LineError(number, "duplicate_custom_id", message, "custom_id")]

    def _model_conflicts(self, request: ParsedRequest, number: int) -> list[LineError]:
        if self._rules.model is not None or request.model is None:
            return []
        if not self._rules.is_known_model(request.model):
            message = f"The model {request.model!r} does not exist here; GET /v1/models lists those that do."
            return [LineError(number, "model_not_found", message, "body.model")]
        self._found.model = self._found.model or request.model
        if request.model != self._found.model:
            message = (
                f"The model is {request.model!r}, but this batch's is {self._found.model!r}: one per batch."
            )
            return [LineError(number, "model_mismatch", message, "body.model")]
        return []

    def _report(self, errors: list[LineError]) -> None:
        """Once for a line, with all its errors."""
        self._found.bad_lines += 1
        self._found.total_errors += len(errors)
        self._found.unparseable_lines += sum(error.code == "invalid_json_line" for error in errors)
        room = MAX_REPORTED_ERRORS - len(self._found.errors)
        self._found.errors.extend(errors[:room])
