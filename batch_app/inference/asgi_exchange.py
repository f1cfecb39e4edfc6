"""One request handed to a web application in this process, and its answer. No socket, no HTTP.

Speaks ASGI 3 (https://asgi.readthedocs.io/en/latest/specs/www.html); knows nothing about vLLM.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

import orjson

from batch_app.inference.engine import EngineAnswer, EngineRequest

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

_NO_ROUTE = {"detail": "Not Found"}  # as Starlette says it
_NOT_ONE_OBJECT = (
    "the endpoint did not answer with one JSON object; a batch cannot stream or ask for binary output"
)


class Exchange:
    """Carries the request in and collects the answer. Belongs to the event loop that runs the application."""

    def __init__(self, request: EngineRequest) -> None:
        self._request = request
        self._unread = [request.body]
        self._hung_up = asyncio.Event()
        self._status = 0
        self._parts: list[bytes] = []
        self._complete = False

    async def carry_out(self, application: Application) -> EngineAnswer:
        """Call the application. What it raises is raised, unless it had answered in full before."""
        try:
            await application(self._scope(), self._receive, self._send)
        except Exception:
            # Starlette answers an unexpected error with a 500 and raises it again for the server to log.
            if not self._complete:
                raise
        return self._one_object(b"".join(self._parts))

    def hang_up(self) -> None:
        """Be a client that has gone: the application abandons the request and soon returns."""
        self._hung_up.set()

    def _one_object(self, body: bytes) -> EngineAnswer:
        if self._status == HTTPStatus.OK:  # parsing every answer would cost more than it could find
            if body.startswith(b"{"):
                return EngineAnswer(200, body)
            return EngineAnswer(400, error_body(400, _NOT_ONE_OBJECT))
        value = _json(body)
        if isinstance(value, dict) and isinstance(value.get("error"), dict):
            return EngineAnswer(self._status, body)
        if value == _NO_ROUTE:
            return EngineAnswer(404, error_body(404, f"this model does not serve {self._request.url}"))
        return EngineAnswer(self._status, error_body(self._status, str(value)))

    def _scope(self) -> Message:
        path = self._request.url
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(self._request.body)).encode()),
                (b"x-request-id", self._request.request_id.encode()),
            ],
            "client": None,
            "server": None,
        }

    async def _receive(self) -> Message:
        if self._unread:
            return {"type": "http.request", "body": self._unread.pop(), "more_body": False}
        await self._hung_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = int(message["status"])
        elif message["type"] == "http.response.body":
            self._parts.append(message.get("body", b""))
            self._complete = not message.get("more_body", False)


def error_body(status_code: int, message: str, *, code: str | int | None = None) -> bytes:
    """An error in OpenAI's shape; without a code of its own it has the status for one, as vLLM's have."""
    kind = "invalid_request_error" if status_code < 500 else "server_error"
    error = {"message": message, "type": kind, "param": None, "code": code or status_code}
    return orjson.dumps({"error": error})


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode(errors="replace")
