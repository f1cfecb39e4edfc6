"""Brings a file home: continues where an earlier try ended, and gives it its name only once it is whole and
durable.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import BinaryIO

from batch_app.disk.files import make_folder, publish
from scripts.client.api import Api
from scripts.client.errors import UnavailableError


def fetch_file(api: Api, file_id: str, target: Path) -> None:
    """Download a published file, whose bytes never change. What is there under `target` is replaced at the
    end.
    """
    size = int(api.file(file_id)["bytes"])
    partial = target.with_name(f".{target.name}.{file_id}.partial")
    make_folder(target.parent)
    with partial.open("ab+") as file:
        if file.tell() >= size:
            _empty(file)
        content = api.content(file_id, offset=file.tell())
        for piece in content.pieces:
            file.write(piece)
        if file.tell() != size:
            raise UnavailableError(f"{file_id} came with {file.tell()} of {size} bytes")
        file.seek(0)
        if file_digest(file, "sha256").hexdigest() != content.etag:
            # What an earlier try left behind may not be what it had received, after a power cut.
            _empty(file)
            raise UnavailableError(f"{file_id} came with other bytes than the server has")
        publish(file, partial, target)


def _empty(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate()


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """A new file that takes the name `target` once it is written to its end and durable."""
    temporary = target.with_name(f".{target.name}.new")
    make_folder(target.parent)
    with temporary.open("wb") as file:
        yield file
        publish(file, temporary, target)
