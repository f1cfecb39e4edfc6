"""Puts the parts' answers together: one line per request, in the order of the input.

A part's files hold its answers in the order they were finished, and a retry's answers replace the failures it
repeats. Memory holds one part's places at a time, never its answers.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson

from batch_app.input.file_lines import BOM
from scripts.client.downloads import replacing
from scripts.client.state import Part, State


@dataclass(frozen=True, slots=True)
class _Place:
    file: int
    offset: int
    length: int


@dataclass
class Merged:
    """`answered` + `failed` = the requests of the input."""

    answered: int = 0
    failed: int = 0


def merge(state: State, parts_folder: Path, results: Path, errors: Path) -> Merged:
    """Write both files anew. A request that no file answers gets an error line that says why."""
    merged = Merged()
    with replacing(results) as good, replacing(errors) as bad, Path(state.input).open("rb") as source:
        for part in state.parts:
            with closing(_Answers(part, parts_folder)) as answers:
                for custom_id in _custom_ids(source, part):
                    if (answer := answers.good(custom_id)) is not None:
                        good.write(answer)
                        merged.answered += 1
                    else:
                        bad.write(answers.bad(custom_id) or _unanswered(custom_id, part))
                        merged.failed += 1
    return merged


class _Answers:
    """Where the answers of one part lie, over its batch and the retries of it."""

    def __init__(self, part: Part, folder: Path) -> None:
        self._stack = ExitStack()
        self._files: list[BinaryIO] = []
        self._good = self._index([folder / f"{batch_id}.results.jsonl" for batch_id in part.batch_ids])
        self._bad = self._index([folder / f"{batch_id}.errors.jsonl" for batch_id in part.batch_ids])

    def good(self, custom_id: str) -> bytes | None:
        return self._read(self._good.get(custom_id))

    def bad(self, custom_id: str) -> bytes | None:
        return self._read(self._bad.get(custom_id))

    def close(self) -> None:
        self._stack.close()

    def _index(self, paths: list[Path]) -> dict[str, _Place]:
        places: dict[str, _Place] = {}
        for path in paths:
            if path.exists():
                file = self._stack.enter_context(path.open("rb"))
                self._files.append(file)
                places.update(_places(file, len(self._files) - 1))
        return places

    def _read(self, place: _Place | None) -> bytes | None:
        if place is None:
            return None
        file = self._files[place.file]
        file.seek(place.offset)
        return file.read(place.length)


def _places(file: BinaryIO, number: int) -> Iterator[tuple[str, _Place]]:
    offset = 0
    for raw in file:
        yield orjson.loads(raw)["custom_id"], _Place(number, offset, len(raw))
        offset += len(raw)


def _custom_ids(source: BinaryIO, part: Part) -> Iterator[str]:
    source.seek(part.offset)
    while source.tell() < part.offset + part.length:
        text = source.readline().removeprefix(BOM)
        if text.strip():
            yield orjson.loads(text)["custom_id"]


def _unanswered(custom_id: str, part: Part) -> bytes:
    """For batches that ended before their requests were looked at: such a batch has no error file."""
    code = f"batch_{part.status}"
    error = {"code": code, "message": part.failure or f"batch {part.batch_id} ended as {part.status}"}
    row = {"id": None, "custom_id": custom_id, "response": None, "error": error}
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
