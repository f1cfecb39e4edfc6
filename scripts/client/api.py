"""The server's calls, one method each. What is not a success becomes one of the errors in `errors`."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import PARTIAL_CONTENT
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from batch_app.input.request_lines import LineError
from scripts.client.errors import BadLinesError, BusyError, ClientError, RefusedError, UnavailableError
from scripts.client.upload import Form
from scripts.client.wire import Batch, Json, Queue, read_batch, read_queue

_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 60
_UPLOAD_READ_SECONDS: Final = 900  # a full part is checked line by line before the answer comes
_DEFAULT_RETRY_SECONDS: Final = 10
_PIECE_BYTES: Final = 1024 * 1024
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}


class Api:
    """One server. Nothing is retried here: who calls knows what can wait."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._session = requests.Session()
        # A proxy for the outside world has no business between this client and its own machine.
        self._session.trust_env = urlsplit(self.url).hostname not in _LOOPBACK
        if api_key:
            self._session.auth = _Bearer(api_key)

    def health(self) -> Json:
        return self._json(self._call("GET", "/health"))

    def queue(self) -> Queue:
        return read_queue(self.health())

    def is_alive(self) -> bool:
        try:
            self._call("GET", "/livez").close()
        except ClientError:
            return False
        return True

    def submit(self, form: Form, *, idempotency_key: str) -> str:
        """The new batch's id; the same one when this key was sent before."""
        headers = {"Content-Type": form.content_type, "Idempotency-Key": idempotency_key}
        try:
            response = self._call(
                "POST", "/v1/batches", body=form, headers=headers, read_seconds=_UPLOAD_READ_SECONDS
            )
        except EOFError:
            raise ClientError("the input file became shorter while it was being sent") from None
        return str(self._json(response)["batch_id"])

    def batch_body(self, batch_id: str) -> Json:
        return self._json(self._call("GET", f"/v1/batches/{_plain(batch_id)}"))

    def batch(self, batch_id: str) -> Batch:
        return read_batch(self.batch_body(batch_id))

    def batch_bodies(self, *, status: str | None = None) -> Iterator[Json]:
        """Every batch, newest first, a page at a time."""
        params = {"limit": "100"} | ({"status": status} if status else {})
        while True:
            page = self._json(self._call("GET", "/v1/batches", params=params))
            yield from page["data"]
            if not page["has_more"]:
                return
            params["after"] = page["last_id"]

    def cancel(self, batch_id: str) -> Batch:
        return read_batch(self._json(self._call("POST", f"/v1/batches/{_plain(batch_id)}/cancel")))

    def retry(self, batch_id: str, *, idempotency_key: str) -> str:
        """The id of a new batch with the lines of this one that failed; the same one when this key was sent before."""
        headers = {"Idempotency-Key": idempotency_key}
        path = f"/v1/batches/{_plain(batch_id)}/retry"
        return str(self._json(self._call("POST", path, headers=headers))["batch_id"])

    def file(self, file_id: str) -> Json:
        return self._json(self._call("GET", f"/v1/files/{_plain(file_id)}"))

    def content(self, file_id: str, *, offset: int = 0) -> "Content":
        """A file's bytes from `offset`."""
        path = f"/v1/files/{_plain(file_id)}/content"
        response = self._call("GET", path, headers=_from(offset), stream=True)
        if offset and response.status_code != PARTIAL_CONTENT:
            response.close()
            raise UnavailableError(f"{self.url} ignored the request to continue a download")
        return Content(response.headers.get("ETag", "").strip('"'), self._pieces(response))

    def results_so_far(self, batch_id: str) -> Iterator[bytes]:
        path = f"/v1/batches/{_plain(batch_id)}/results"
        return self._pieces(self._call("GET", path, headers=_from(0), stream=True))

    def _pieces(self, response: requests.Response) -> Iterator[bytes]:
        with closing(response):
            try:
                yield from response.iter_content(_PIECE_BYTES)
            except requests.RequestException:
                raise UnavailableError(f"the connection to {self.url} broke during a download") from None

    def _json(self, response: requests.Response) -> Json:
        value = _decoded(response)
        if not isinstance(value, dict):
            raise ClientError(f"{self.url} answers, but not like a batch server: is it the right address?")
        return value

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: Form | None = None,
        headers: dict[str, str] | None = None,
        read_seconds: float = _READ_SECONDS,
        stream: bool = False,
    ) -> requests.Response:
        try:
            response = self._session.request(
                method,
                self.url + path,
                params=params,
                data=body,
                headers=headers,
                stream=stream,
                timeout=(_CONNECT_SECONDS, read_seconds),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise _unreachable(self.url, error) from None
        if not response.ok or response.is_redirect:
            raise _refusal(self.url, response)
        return response


@dataclass(frozen=True)
class Content:
    """A download under way. Reading `pieces` raises UnavailableError when the connection breaks.

    `etag` is the SHA-256 of the whole file, whatever part of it this is.
    """

    etag: str
    pieces: Iterator[bytes]


class _Bearer(AuthBase):
    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def _plain(identifier: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", identifier):
        raise ClientError(f"{identifier!r} is not an id; `list` shows the batches there are")
    return identifier


def _from(offset: int) -> dict[str, str]:
    """Bytes as they lie on the server's disk: a range of a compressed stream would be of no use."""
    return {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})


def _decoded(response: requests.Response) -> Any:
    try:
        return response.json()
    except requests.JSONDecodeError:
        return None


def _unreachable(url: str, error: requests.RequestException) -> ClientError:
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return ClientError(f"{url} is not an address: give --url like http://localhost:4080")
    if isinstance(error, requests.exceptions.MissingSchema):
        return ClientError(f"{url} is not an address: give --url like http://localhost:4080")
    if isinstance(error, requests.ReadTimeout):
        return UnavailableError(f"{url} took the request but did not answer in time")
    if "refused" in str(error):
        return UnavailableError(f"nothing answers on {url}; start it with `make start`")
    return UnavailableError(f"no connection to {url} ({_innermost(error)})")


def _innermost(error: BaseException) -> str:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return f"{type(error).__name__}: {error}"


def _refusal(url: str, response: requests.Response) -> ClientError:
    body = _decoded(response)
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        kind = UnavailableError if response.status_code >= 500 else ClientError
        return kind(f"{url} answered HTTP {response.status_code}, but not like a batch server")
    message = str(error.get("message"))
    if response.status_code in (429, 503, 507):
        return BusyError(message, _retry_after(response))
    if response.status_code >= 500:
        request_id = response.headers.get("x-request-id", "none")
        return UnavailableError(f"the server failed: {message} (request id {request_id})")
    if error.get("errors"):
        listed = [_line_error(item) for item in error["errors"]]
        return BadLinesError(message, listed, int(error.get("total_errors") or len(listed)))
    if response.status_code == 401:
        message += " Give --api-key or set BATCHES_API_KEY."
    return RefusedError(message, status=response.status_code, code=error.get("code"))


def _retry_after(response: requests.Response) -> float:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else _DEFAULT_RETRY_SECONDS


def _line_error(item: Json) -> LineError:
    return LineError(
        line=int(item.get("line") or 0),
        code=str(item.get("code")),
        message=str(item.get("message")),
        param=item.get("param"),
    )
