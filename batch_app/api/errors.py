"""The one error shape, and the only place where causes become HTTP.

Every answer that is not 2xx carries `{"error": {"message", "type", "param", "code"}}`. A message says what to do.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pysqlite3 import dbapi2
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from batch_app import errors
from batch_app.disk.storage_errors import is_busy_database, is_full_disk
from batch_app.input.request_lines import LineError

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 30  # at most 120: clients give up on more
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_CODES = {401: "invalid_api_key", 404: "not_found", 405: "method_not_allowed"}


class ApiError(Exception):
    """An answer other than 2xx, decided by a router or a guard."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: dict[str, str] | None = None,
        line_errors: Sequence[LineError] = (),
        total_errors: int = 0,
    ) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers or {}
        self.body = error_body(status, code, message, param)
        if line_errors:
            listed = [
                {"line": e.line, "param": e.param, "code": e.code, "message": e.message} for e in line_errors
            ]
            self.body["error"].update(errors=listed, total_errors=total_errors)


def error_body(status: int, code: str, message: str, param: str | None = None) -> dict[str, Any]:
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def retry_later(status: int, code: str, message: str) -> ApiError:
    return ApiError(status, code, message, headers={"retry-after": str(RETRY_AFTER_SECONDS)})


def from_cause(error: errors.BatchAppError) -> ApiError:  # noqa: PLR0911  # one branch per cause
    """What a cause looks like over HTTP."""
    message = str(error)
    match error:
        case errors.BatchNotFoundError():
            return ApiError(404, "not_found", message, param="batch_id")
        case errors.FileMissingError():
            return ApiError(404, "not_found", message, param="file_id")
        case errors.FileInUseError():
            return ApiError(409, "file_in_use", message, param="file_id", headers={"x-should-retry": "false"})
        case errors.QueueFullError():
            return retry_later(429, "queue_full", message)
        case errors.BatchNotCancellableError():
            # SDKs retry a 409 unless told not to.
            return ApiError(409, "batch_not_cancellable", message, headers={"x-should-retry": "false"})
        case errors.OptionError():
            return ApiError(400, error.code, message, param=error.param)
        case errors.BadQueryError():
            return ApiError(400, "invalid_value", message, param="query")
        case errors.IndexMissingError():
            return ApiError(503, "not_indexed_yet", message, headers={"retry-after": "1"})
        case errors.IdempotencyKeyReusedError():
            return ApiError(422, "idempotency_key_reused", message, param="idempotency-key")
        case _:
            return ApiError(500, "internal_error", message)


def from_machine(error: Exception, data_dir: Path) -> ApiError | None:
    """What a disk or a database that refuses looks like; None for anything else. Nothing was stored."""
    if is_full_disk(error):
        message = (
            f"The disk of {data_dir} is full and nothing was stored: make room there, then send it again."
        )
        return retry_later(507, "disk_full", message)
    if is_busy_database(error):
        message = "Another process keeps the database to itself and nothing was stored: send it again later."
        return retry_later(503, "database_busy", message)
    return None


def install(app: FastAPI) -> None:
    """Give every way to fail the one shape."""
    for kind in (OSError, SQLAlchemyError, dbapi2.Error):
        app.add_exception_handler(kind, _on_machine_trouble)
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(errors.BatchAppError, _on_cause)
    app.add_exception_handler(ClientDisconnect, _on_interruption)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)


async def _on_api_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body, error.status, error.headers)


async def _on_cause(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.BatchAppError)
    return await _on_api_error(request, from_cause(error))


async def _on_interruption(request: Request, _error: Exception) -> JSONResponse:
    """Nobody hears this any more; the log does."""
    interrupted = ApiError(400, "upload_interrupted", "The connection ended before the request did.")
    return await _on_api_error(request, interrupted)


async def _on_machine_trouble(request: Request, error: Exception) -> JSONResponse:
    refusal = from_machine(error, request.app.state.context.settings.data_dir)
    if refusal is None:
        raise error
    log.error(
        "storing_refused",
        extra={"request_id": request.scope["request_id"], "code": refusal.body["error"]["code"]},
    )
    return await _on_api_error(request, refusal)


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    messages = {
        404: f"There is nothing at {request.url.path}; GET /docs lists what there is.",
        405: f"{request.method} is not possible on {request.url.path}.",
    }
    message = messages.get(error.status_code, str(error.detail))
    code = _CODES.get(error.status_code, "invalid_request")
    headers = dict(error.headers or {})
    return JSONResponse(error_body(error.status_code, code, message), error.status_code, headers)


async def _on_invalid_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = [str(part) for part in first["loc"] if part not in ("query", "body", "path", "header")]
    param = ".".join(where) or None
    message = f"{first['msg']}{f' in {param!r}' if param else ''}."
    return JSONResponse(error_body(400, "invalid_value", message, param), 400)


def crash(error: Exception, *, request_id: str, path: str) -> JSONResponse:
    """The answer to a request that hit a bug of ours; the log has the rest."""
    log.error("request_crashed", exc_info=error, extra={"request_id": request_id, "path": path})
    message = (
        f"Something went wrong here, not in your request. The log has more under request id {request_id}."
    )
    return JSONResponse(error_body(500, "internal_error", message), 500)
