"""How a connection has to behave: the head of a request comes soon, and is small. uvicorn bounds neither.

Whoever opens connections and sends nothing, or headers without end, would otherwise hold a file descriptor or memory
for each, before any key was asked for. So would trailers behind a chunked body. A body may take its time, and whoever
reads it bounds its bytes.
"""

import asyncio
import resource
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_DESCRIPTORS = 65_536


def allow_many_connections() -> None:
    """Most systems let a process have 1,024 files and connections unless it asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Connection(HttpToolsProtocol):
    """For uvicorn's `http`. Closes what keeps it waiting for a head, or sends too much of one."""

    head_seconds: ClassVar[float] = 20
    head_bytes: ClassVar[int] = 64 * 1024

    _waiting: asyncio.TimerHandle | None = None
    _received = 0  # bytes since the last whole head or piece of a body
    _in_message = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        super().data_received(data)
        if self._waiting is None and not self._in_message and self.cycle.response_complete:
            self._wait()  # for a head: what comes between requests is none
        if self._received > self.head_bytes:
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_message = True
        self._wait()

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        self._received = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._received = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_message = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._waiting is None:
            self._received = 0
            self._waiting = self.loop.call_later(self.head_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
