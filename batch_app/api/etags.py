"""Answers in JSON carry an ETag, and who has it already gets a 304: polling an idle machine moves no data."""

import hashlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Etags:
    """ASGI middleware. Other kinds of answers, and those in several pieces, pass as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        known = Headers(scope=scope).get("if-none-match", "")
        start: Message | None = None

        async def send_tagged(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_json(message):
                start = message  # kept until its body is known
                return
            if start is not None:
                head, start = start, None
                if not message.get("more_body", False):
                    message = _tag(head, message, known)
                await send(head)
            await send(message)

        await self._app(scope, receive, send_tagged)


def _is_json(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    return start["status"] == 200 and headers.get("content-type") == "application/json"


def _tag(start: Message, body: Message, known: str) -> Message:
    """Adds the headers; the body that is to be sent."""
    tag = f'W/"{hashlib.blake2b(body["body"], digest_size=12).hexdigest()}"'
    headers = MutableHeaders(raw=start["headers"])
    headers["etag"] = tag
    headers["cache-control"] = "private, no-cache"
    if known.strip() != "*" and tag not in known:
        return body
    start["status"] = 304
    del headers["content-length"], headers["content-type"]
    return {**body, "body": b""}
