"""A log line for every request that was refused, failed or took long, under its id. Those that went well would drown
them: what the others changed is logged where it changes, and /metrics counts them all.
"""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

_SLOW_SECONDS = 2.0
_SHOWN_CHARACTERS = 200
_QUIET = frozenset({"/readyz"})  # asked every few seconds, and "not yet" is a proper answer


class RequestLog:
    """ASGI middleware outside the guards, which choose the request's id. Neither queries nor bodies are logged."""

    def __init__(self, app: ASGIApp, slow_seconds: float = _SLOW_SECONDS) -> None:
        self._app, self._slow_seconds = app, slow_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _QUIET:
            await self._app(scope, receive, send)
            return
        began = time.monotonic()

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(scope, message["status"], time.monotonic() - began)
            await send(message)

        await self._app(scope, receive, note)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        facts = {
            "request_id": scope.get("request_id"),
            "method": scope["method"],
            "path": scope["path"][:_SHOWN_CHARACTERS],
            "status_code": status,
            "seconds": round(seconds, 3),
        }
        if status >= 500:
            log.warning("request_failed", extra=facts)
        elif status >= 400:
            log.info("request_refused", extra=facts)
        elif (
            seconds > self._slow_seconds and scope["method"] == "GET"
        ):  # an upload takes as long as its sender
            log.warning("request_slow", extra=facts)
