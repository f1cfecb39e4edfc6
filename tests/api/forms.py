"""Multipart forms written by hand, for what no client library would send."""

from typing import Any

BOUNDARY = b"the-boundary"
HEADERS = {"content-type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}


def text(name: str, value: bytes | str) -> bytes:
    """A text field."""
    return _part(f'form-data; name="{name}"', value)


def file(value: bytes | str, *, name: str = "file", filename: str = "candidates.jsonl") -> bytes:
    """A file field."""
    return _part(f'form-data; name="{name}"; filename="{filename}"', value)


def form(*parts: bytes, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """Arguments of a call that sends these parts in this order."""
    return {
        "content": b"".join(parts) + b"--" + BOUNDARY + b"--\r\n",
        "headers": {**HEADERS, **(headers or {})},
    }


def _part(disposition: str, value: bytes | str) -> bytes:
    content = value.encode() if isinstance(value, str) else value
    return (
        b"--"
        + BOUNDARY
        + b"\r\nContent-Disposition: "
        + disposition.encode()
        + b"\r\n\r\n"
        + content
        + b"\r\n"
    )
