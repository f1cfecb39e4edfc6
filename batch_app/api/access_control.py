"""Who may talk to the API: host names, origins, the API key. And a request id on everything.

A web page anywhere can make a browser send a form to localhost; only the Host and Origin headers tell.
"""

import ipaddress
import re
import secrets
import socket
from hmac import compare_digest
from urllib.parse import urlsplit

import psutil
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batch_app.api.errors import crash, error_body
from batch_app.settings import Settings

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# No page elsewhere may load an answer as its own script, style or picture, whatever the answer's bytes look like.
_HEADERS = {"x-content-type-options": "nosniff", "cross-origin-resource-policy": "same-site"}
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


def host_names(settings: Settings) -> set[str]:
    """Names under which this machine may be addressed. IP addresses need no name: nobody can rebind them."""
    listed = {name.strip().lower() for name in settings.allowed_hosts.split(",") if name.strip()}
    return {"localhost", settings.api_host.lower(), socket.gethostname().lower(), *listed}


def origin_pattern(settings: Settings) -> str:
    """A regular expression for the origins whose pages may use this API: our pages', and the API's own."""
    names = host_names(settings) | {"127.0.0.1", "[::1]"}
    if settings.api_host not in ("127.0.0.1", "::1", "localhost"):
        names |= own_addresses()
    hosts = "|".join(re.escape(name) for name in sorted(names))
    return rf"https?://({hosts}):({settings.web_port}|{settings.api_port})"


def own_addresses() -> set[str]:
    """The IP addresses of this machine, as they stand in a URL."""
    addresses = {address.address for found in psutil.net_if_addrs().values() for address in found}
    return {f"[{a}]" if ":" in a else a for a in addresses if _is_address(a)}


class Guards:
    """ASGI middleware around everything but CORS preflights."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._hosts = host_names(settings)
        self._origins = re.compile(origin_pattern(settings))
        self._ports = {settings.web_port, settings.api_port}
        key = settings.api_key
        self._key = key.get_secret_value().encode() if key is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        scope["request_id"] = request_id

        has_started = False

        async def send_with_id(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                MutableHeaders(scope=message).update({**_HEADERS, "x-request-id": request_id})
            await send(message)

        answer = self._refusal(scope, headers) or self._app
        try:
            await answer(scope, receive, send_with_id)
        except Exception as error:  # one request's bug is that request's answer
            if has_started:
                raise
            await crash(error, request_id=request_id, path=scope["path"])(scope, receive, send_with_id)

    def _refusal(self, scope: Scope, headers: Headers) -> JSONResponse | None:
        host = _host_name(headers.get("host", ""))
        if not (host in self._hosts or _is_address(host)):
            message = (
                f"The host name {host!r} is not known here; add it to BATCH_ALLOWED_HOSTS if it is yours."
            )
            return JSONResponse(error_body(403, "host_not_allowed", message), 403)
        origin = headers.get("origin")
        if origin is not None and scope["method"] not in _SAFE_METHODS and not self._is_ours(origin, host):
            message = f"Pages of {origin} may not change anything here."
            return JSONResponse(error_body(403, "origin_not_allowed", message), 403)
        if self._key is not None and scope["path"] != "/livez" and not self._has_key(headers):
            message = (
                "This API needs a key: send 'Authorization: Bearer YOUR_KEY' (BATCH_API_KEY on the server)."
            )
            return JSONResponse(
                error_body(401, "invalid_api_key", message), 401, {"www-authenticate": "Bearer"}
            )
        return None

    def _is_ours(self, origin: str, host: str) -> bool:
        """One of the listed origins, or a page served by this very machine under the name the caller uses."""
        if self._origins.fullmatch(origin):
            return True
        try:
            parts = urlsplit(origin)
            return parts.hostname == host.strip("[]") and parts.port in self._ports
        except ValueError:
            return False

    def _has_key(self, headers: Headers) -> bool:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and compare_digest(key.strip().encode(), self._key or b"")


def _host_name(host: str) -> str:
    """The Host header without its port, lower case; brackets around an IPv6 address stay."""
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(:\d+)?", host)
    return match[1].lower() if match else host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
