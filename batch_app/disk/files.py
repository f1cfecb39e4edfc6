"""Durable files: what is published was on the disk before anything named it.

A file is written to a temporary name, fsynced, renamed, and its folder fsynced. Answers of an unfinished batch are
appended to logs, one per claim and kind ("output", "error"): a late worker writes to its own old log and can spoil
nothing. The committed parts of the logs, in the order of the claims, add up to one logical stream per kind. Its
offsets are what the ledger records, and they stay true in the published file. Knows nothing about the database.
"""

import hashlib
import logging
import os
import re
import shutil
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, Final, Literal, Self

from batch_app.disk import failpoints

log = logging.getLogger(__name__)

AnswerKind = Literal["output", "error"]
KINDS: Final[tuple[AnswerKind, ...]] = ("output", "error")
_LOG_NAME: Final = re.compile(r"(output|error)-(\d{6})-(\d+)\.jsonl")
_COPY_BYTES: Final = 1024 * 1024


def sync_folder(folder: Path) -> None:
    """Make a name in this folder (a new file, a rename) survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder, and those on the way to it, so that their names survive a power cut. Only this user may look
    into it: prompts and answers are nobody else's, whatever the modes of the files."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        failpoints.reach("folder.made")
        sync_folder(folder.parent)


def publish(written: BinaryIO, temporary: Path, final: Path) -> None:
    """Move a completely written file to its final name, durably."""
    written.flush()
    failpoints.reach("file.written")
    os.fsync(written.fileno())
    failpoints.reach("file.synced")
    make_folder(final.parent)
    temporary.rename(final)
    failpoints.reach("file.renamed")
    sync_folder(final.parent)
    failpoints.reach("file.published")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer lies in its kind's logical stream."""

    kind: AnswerKind
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class _Segment:
    path: Path
    epoch: int
    base: int


def _segments(folder: Path, kind: AnswerKind) -> list[_Segment]:
    """In the order of the claims. A log that begins behind a later one has no part that counts any more."""
    found = [
        _Segment(path, int(match[2]), int(match[3]))
        for path in folder.glob(f"{kind}-*.jsonl")
        if (match := _LOG_NAME.fullmatch(path.name))
    ]
    counting: list[_Segment] = []
    for segment in sorted(found, key=lambda segment: segment.epoch, reverse=True):
        if not counting or segment.base < counting[-1].base:
            counting.append(segment)
    return counting[::-1]


def read_stream(folder: Path, kind: AnswerKind, start: int, end: int) -> Iterator[bytes]:
    """The logical stream from `start` to `end`, which must be committed, in pieces of at most 1 MiB.

    Every log is opened before the first piece is given, so a batch that ends meanwhile does not break it off.
    Raises EOFError when bytes are missing.
    """
    if start >= end:
        return
    segments = _segments(folder, kind)
    if not segments or segments[0].base != 0:
        raise EOFError(f"the first log of {folder.name}'s {kind} is missing")
    bounds = [segment.base for segment in segments[1:]] + [end]
    with ExitStack() as opened:
        parts = []
        for segment, bound in zip(segments, bounds, strict=True):
            first, last = max(start, segment.base), min(end, bound)
            if first < last:
                parts.append(
                    (opened.enter_context(segment.path.open("rb")), first - segment.base, last - first)
                )
        for source, offset, length in parts:
            yield from _pieces(source, offset, length)


def is_all_there(folder: Path, kind: AnswerKind, end: int) -> bool:
    """Whether the logs are as long as the stream up to `end` asks. What is in them is another question."""
    segments = _segments(folder, kind)
    bounds = [segment.base for segment in segments[1:]] + [end]
    parts = zip(segments, bounds, strict=True)
    return end == 0 or bool(
        segments
        and segments[0].base == 0
        and all(segment.base + segment.path.stat().st_size >= bound for segment, bound in parts)
    )


def sha256_of(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def read_range(path: Path, offset: int, length: int) -> Iterator[bytes]:
    """`length` bytes of a file from `offset`, in pieces of at most 1 MiB. Raises EOFError when they are not there."""
    with path.open("rb") as source:
        yield from _pieces(source, offset, length)


def _pieces(source: BinaryIO, offset: int, length: int) -> Iterator[bytes]:
    source.seek(offset)
    while length > 0:
        piece = source.read(min(length, _COPY_BYTES))
        if not piece:
            raise EOFError(f"{source.name} ends {length} bytes before what the ledger says it holds")
        length -= len(piece)
        yield piece


class AnswerReader:
    """Reads single answers: of an unfinished batch from its logs, of an ended one from its published files.

    What it was opened on stays readable when the batch ends or a file is deleted meanwhile. A context manager.
    """

    def __init__(self, segments: dict[AnswerKind, list[_Segment]]) -> None:
        self._opened = ExitStack()
        self._sources: dict[AnswerKind, list[tuple[int, BinaryIO]]] = {}
        try:
            for kind, of_kind in segments.items():
                self._open(kind, of_kind)
        except OSError:
            self._opened.close()
            raise

    def _open(self, kind: AnswerKind, segments: list[_Segment]) -> None:
        self._sources[kind] = [
            (segment.base, self._opened.enter_context(segment.path.open("rb"))) for segment in segments
        ]

    @classmethod
    def of_logs(cls, folder: Path) -> Self:
        """Raises FileNotFoundError when a log is removed at this very moment."""
        return cls({kind: _segments(folder, kind) for kind in KINDS})

    @classmethod
    def of_files(cls, paths: dict[AnswerKind, Path]) -> Self:
        """Of those that are there: one may be deleted at this very moment, or its bytes be lost."""
        reader = cls({})
        for kind, path in paths.items():
            try:
                reader._open(kind, [_Segment(path, epoch=0, base=0)])
            except FileNotFoundError:
                log.warning("file_gone", extra={"path": path.name})
        return reader

    def read(self, place: Place) -> bytes | None:
        """The answer's line; None when its file is not there. Raises EOFError when the file ends before it."""
        sources = self._sources.get(place.kind, [])
        at = bisect_right(sources, place.offset, key=itemgetter(0)) - 1
        if at < 0:
            return None
        base, source = sources[at]
        line = os.pread(source.fileno(), place.length, place.offset - base)
        if len(line) < place.length:
            raise EOFError(f"{source.name} ends before the answer that the ledger says it holds")
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        self._opened.close()


class AnswerLog:
    """One claim's answers of one kind. Appending is not committing: the ledger decides what counts."""

    def __init__(self, folder: Path, kind: AnswerKind, *, epoch: int, base: int) -> None:
        """`base` is where the stream's committed part ends when the claim begins. The file appears with the
        first append, so a kind without answers has no file."""
        self._path = folder / f"{kind}-{epoch:06d}-{base}.jsonl"
        self._kind, self._base = kind, base
        self._size = 0
        self._descriptor: int | None = None

    @property
    def size(self) -> int:
        """Bytes that were appended and not cut off again."""
        return self._size

    def append(self, lines: list[bytes]) -> list[Place]:
        """Write lines and sync them: they are on the disk when this returns. On OSError none of them counts."""
        descriptor = self._open()
        _write_all(descriptor, b"".join(lines), self._size)
        failpoints.reach("log.written")
        os.fdatasync(descriptor)
        failpoints.reach("log.synced")
        places = []
        for line in lines:
            places.append(Place(self._kind, self._base + self._size, len(line)))
            self._size += len(line)
        return places

    def cut_to(self, size: int) -> None:
        """Forget what was appended past `size`: the next append overwrites it, and what is left of it nobody reads."""
        self._size = size

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            make_folder(self._path.parent)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            failpoints.reach("log.opened")
            try:
                sync_folder(self._path.parent)
            except OSError:
                os.close(descriptor)
                raise
            self._descriptor = descriptor
        return self._descriptor


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    """A disk that is nearly full takes less than it was given before it says so."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file that is complete and durable under its final name."""

    path: Path
    bytes: int
    sha256: str


def publish_stream(
    folder: Path, kind: AnswerKind, end: int, *, temporary: Path, final: Path
) -> PublishedFile:
    """Add the committed parts of the logs up to one file. Doing it again after a crash gives the same file."""
    digest = hashlib.sha256()
    temporary.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("wb") as target:
            for piece in read_stream(folder, kind, 0, end):
                digest.update(piece)
                target.write(piece)
            publish(target, temporary, final)
    finally:
        temporary.unlink(missing_ok=True)  # of a disk that is full, half a file is the worst use
    return PublishedFile(path=final, bytes=end, sha256=digest.hexdigest())


def remove_folder(folder: Path) -> None:
    """Remove a finished batch's logs; one that is gone already is fine."""
    shutil.rmtree(folder, ignore_errors=True)
    failpoints.reach("logs.removed")
