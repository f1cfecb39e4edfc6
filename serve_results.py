"""Serves the pages in `web/` and tells them where the API is; the browser talks to the API itself.

Owns the security headers of the pages. Knows nothing about batches, the database or the API's code.
"""

import argparse
import ipaddress
import logging
import re
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batch_app.api.connections import Connection
from batch_app.errors import ConfigurationError
from batch_app.logs import set_up_logging
from batch_app.settings import Settings, describe, load_settings

log = logging.getLogger("batch_app.pages")

WEB_DIR = Path(__file__).resolve().parent / "web"
PAGES = ("dashboard.html", "submit_batch.html", "index.html", "table_view.html", "compare_results.html")

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_ANY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104  (compared with, never bound to unless the operator says so)
# The host is written into a header, so it must be a plain name or address and nothing else.
_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self' {api}; worker-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types dompurify batch-worker"
)
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Serve the web pages.")
    parser.add_argument("--check", action="store_true", help="print the effective settings and exit")
    check = parser.parse_args(arguments).check
    try:
        settings = load_settings()
    except ConfigurationError as error:
        print(f"serve_results: {error}", file=sys.stderr)
        return 1
    if check:
        print(describe(settings))
        return 0
    try:
        listener = _listen(settings)
    except OSError as error:
        print(f"serve_results: {_why_no_port(settings, error)}", file=sys.stderr)
        return 1
    set_up_logging(settings.log_format)
    url = f"http://{_shown_host(settings.web_host)}:{settings.web_port}"
    if settings.log_format == "json":
        log.info("pages_served", extra={"url": url})
    else:
        print(f"Serving on {url}", flush=True)
    _serve(create_app(settings), listener)
    return 0


def create_app(settings: Settings) -> ASGIApp:
    """The pages of `web/`, their modules and styles under /static, and /config.json."""

    async def config(_: Request) -> Response:
        return JSONResponse({"apiUrl": _fixed_api_url(settings), "apiPort": settings.api_port})

    async def start(_: Request) -> Response:
        return RedirectResponse("/dashboard.html")

    pages = StaticFiles(directory=WEB_DIR)

    async def page(request: Request) -> Response:
        return await pages.get_response(request.url.path.removeprefix("/"), request.scope)

    app = Starlette(
        routes=[
            Route("/", start),
            Route("/config.json", config),
            *(Route(f"/{name}", page) for name in PAGES),
            Mount("/static", StaticFiles(directory=WEB_DIR / "static")),
        ],
        middleware=[Middleware(GZipMiddleware, minimum_size=1024)],
    )
    return _Guard(app, settings)


class _Guard:
    """Refuses foreign host names, and puts the security headers on every answer, errors and redirects too."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._api_port = settings.api_port
        self._fixed_api_url = _fixed_api_url(settings)
        self._names = _host_names(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        host = self._host(Headers(scope=scope).get("host", ""))
        policy = _POLICY.format(api=self._fixed_api_url or f"http://{host or 'localhost'}:{self._api_port}")

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = policy
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "no-cache")
            await send(message)

        if host and "/." in scope["path"]:  # an editor's swap file, a .env: never a page
            await PlainTextResponse("Not Found", status_code=404)(scope, receive, guarded_send)
            return
        refused = PlainTextResponse(
            "This host name is not known here; add it to BATCH_ALLOWED_HOSTS if it is yours.\n",
            status_code=400,
        )
        await (self._app if host else refused)(scope, receive, guarded_send)

    def _host(self, value: str) -> str | None:
        """The name the page was asked under, or None when it is malformed or not ours."""
        match = _HOST.fullmatch(value)
        if match is None:
            return None
        host = match["name"].lower()
        return host if host in self._names or _is_address(host) else None


def _host_names(settings: Settings) -> set[str]:
    """Names under which the pages may be asked. An IP address needs none: nobody can rebind it."""
    listed = {name.strip().lower() for name in settings.allowed_hosts.split(",") if name.strip()}
    return {"localhost", settings.web_host.lower(), socket.gethostname().lower(), *listed}


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _fixed_api_url(settings: Settings) -> str | None:
    """The API's address when only one works; None when the page's own host name with the API's port does."""
    host = _in_brackets(settings.api_host)
    if host in _LOOPBACK or settings.api_host in _ANY_ADDRESS:
        return None
    return f"http://{host}:{settings.api_port}"


def _in_brackets(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _shown_host(host: str) -> str:
    name = _in_brackets(host)
    return "localhost" if name in _LOOPBACK or host in _ANY_ADDRESS else name


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.web_host else socket.AF_INET
    return socket.create_server((settings.web_host, settings.web_port), family=family, backlog=128)


def _why_no_port(settings: Settings, error: OSError) -> str:
    return (
        f"cannot listen on {_in_brackets(settings.web_host)}:{settings.web_port}: {error.strerror}; "
        "stop the process that holds it (`ss -ltnp`) or set BATCH_WEB_PORT"
    )


def _serve(app: ASGIApp, listener: socket.socket) -> None:
    """Answer until SIGTERM or Ctrl-C; both are an orderly end."""
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        log_level="warning",
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
    )
    # uvicorn ends its work on either signal, and then raises it once more.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    sys.exit(main())
