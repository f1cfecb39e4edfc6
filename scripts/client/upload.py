"""A multipart form whose file is a byte range of a larger one, read while it is sent: memory stays flat.

The same form is the same bytes every time, boundary included, so that a server that compares a repeated
request with the first one finds them equal.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from batch_app.disk.files import read_range


class Form:
    """Iterable with a length, which is what `requests` needs to stream a body with a Content-Length."""

    def __init__(
        self, fields: Mapping[str, str], source: Path, offset: int, length: int, filename: str
    ) -> None:
        self._source, self._offset, self._length = source, offset, length
        described = "\0".join([*fields, *fields.values(), filename, str(offset), str(length)])
        boundary = sha256(described.encode()).hexdigest()[:40]
        self.content_type = f"multipart/form-data; boundary={boundary}"
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{_quoted(filename)}"\r\n'
            "Content-Type: application/jsonl\r\n\r\n"
        )
        self._head = "".join(parts).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()

    def __len__(self) -> int:
        return len(self._head) + self._length + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        """Raises EOFError when the file has become shorter than the range."""
        yield self._head
        yield from read_range(self._source, self._offset, self._length)
        yield self._tail


def _quoted(filename: str) -> str:
    """As browsers write it (HTML, multipart/form-data encoding algorithm)."""
    return filename.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
