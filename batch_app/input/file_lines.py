"""Cuts an input file into its lines, in memory that does not grow with a line.

What one line is, for the server that takes the file and the client that checks it before. Knows nothing about what a
line says.
"""

from collections.abc import Callable, Iterator
from itertools import count
from typing import BinaryIO, NamedTuple

BOM = b"\xef\xbb\xbf"
_AROUND_A_LINE = len(BOM) + len(b"\r\n")
_SKIP_BYTES = 1024 * 1024


class FileLine(NamedTuple):
    """`offset` and `length` are those of all its bytes, its end included. `text` is what counts, without its end and
    the file's byte-order mark, and begins at `start`; of a line that is too long it is the beginning."""

    number: int
    offset: int
    length: int
    start: int
    text: bytes
    is_too_long: bool

    @property
    def is_blank(self) -> bool:
        return not (self.is_too_long or self.text.strip())


def read_lines(
    source: BinaryIO, *, max_line_bytes: int, on_read: Callable[[bytes], object]
) -> Iterator[FileLine]:
    """Every line, counted from 1. `on_read` gets every byte of the file, in order."""
    offset = 0
    for number in count(1):
        raw = source.readline(max_line_bytes + _AROUND_A_LINE)
        if not raw:
            return
        on_read(raw)
        skipped = 0 if raw.endswith(b"\n") else _skip_rest_of_line(source, on_read)
        text, start = raw.rstrip(b"\r\n"), offset
        if number == 1 and text.startswith(BOM):
            text, start = text[len(BOM) :], offset + len(BOM)
        length = len(raw) + skipped
        yield FileLine(number, offset, length, start, text, skipped > 0 or len(text) > max_line_bytes)
        offset += length


def _skip_rest_of_line(source: BinaryIO, on_read: Callable[[bytes], object]) -> int:
    """How many bytes there were more of this line."""
    skipped = 0
    while raw := source.readline(_SKIP_BYTES):
        on_read(raw)
        skipped += len(raw)
        if raw.endswith(b"\n"):
            break
    return skipped
