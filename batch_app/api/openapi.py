"""What the OpenAPI document says beyond what FastAPI reads from the routes: how calls fail, files as answers, the key.

A route names the failures of its own; what any call can meet (no key, a foreign host, a bug) is added here for all.
"""

from typing import Any

from fastapi import FastAPI

from batch_app.api.schemas import batches as schemas

Responses = dict[int | str, dict[str, Any]]

_REASONS = {
    400: "What was sent cannot be used; the message says what to change.",
    401: "The API key is missing or wrong.",
    403: "This host name, or pages of this origin, may not call here.",
    404: "There is nothing of this name.",
    409: "Not possible in its present state; trying again does not help.",
    413: "Larger than the limit.",
    415: "The body has another content type.",
    416: "The range lies behind the end of the file.",
    422: "The Idempotency-Key was used for another request.",
    429: "The queue is full.",
    500: "A bug; the server's log has it under the request id.",
    503: "The GPU is unfit for another batch, or the database is busy.",
    507: "The disk is full; nothing was stored.",
}


def _header(description: str, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}}


def _parameter(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", **_header(description)}


_RETRY_AFTER = {"retry-after": _header("seconds to wait", "integer")}
_BYTES = {"schema": {"type": "string", "format": "binary"}}


def failures(*statuses: int) -> Responses:
    """`responses` of a route that can fail so, each in the one error shape."""
    return {status: _failure(status) for status in statuses}


def _failure(status: int) -> dict[str, Any]:
    headers = _RETRY_AFTER if status in (429, 503, 507) else {}
    return {"model": schemas.ErrorEnvelope, "description": _REASONS[status], "headers": headers}


_DOWNLOADED = {
    "etag": _header("of a whole file; changes with the content"),
    "x-last-line": _header("of answers: the `offset` to continue from", "integer"),
    "x-incomplete": _header("`true` while the batch is not finished"),
}
DOWNLOAD: Responses = {
    200: {
        "description": "All of it, or all behind line `offset`.",
        "content": {"application/octet-stream": _BYTES},
        "headers": _DOWNLOADED,
    },
    206: {
        "description": "The ranges that were asked for; more than one come as parts.",
        "content": {"application/octet-stream": _BYTES, "multipart/byteranges": _BYTES},
        "headers": _DOWNLOADED,
    },
    304: {"description": "Nothing has changed since.", "headers": _DOWNLOADED},
    **failures(400, 404, 416),
}
_IF_NONE_MATCH = _parameter("if-none-match", "the etag of what is there already")
DOWNLOAD_HEADERS = {
    "parameters": [
        _parameter("range", "bytes, as `bytes=0-1023`"),
        _parameter("if-range", "the etag that the range is of"),
        _IF_NONE_MATCH,
    ]
}
IDEMPOTENCY_KEY = _parameter("idempotency-key", "the same key and body get the same answer for 24 hours")
_REQUEST_ID = {"$ref": "#/components/headers/RequestId"}
_ERROR = {
    "content": {
        "application/json": {"schema": {"$ref": f"#/components/schemas/{schemas.ErrorEnvelope.__name__}"}}
    }
}
NEEDS_NO_KEY: dict[str, Any] = {"security": []}


def install(app: FastAPI) -> None:
    """Complete the document when it is first asked for."""
    derive = app.openapi

    def complete() -> dict[str, Any]:
        return app.openapi_schema or _complete(derive())

    app.openapi = complete  # type: ignore[method-assign]  # FastAPI's own way to change the document


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    components = document["components"]
    components["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "Only where BATCH_API_KEY is set."}
    }
    components["headers"] = {
        "RequestId": {**_header("names this call in the log; one that was sent comes back"), "required": True}
    }
    document["security"] = [{"key": []}, {}]
    for name in ("HTTPValidationError", "ValidationError"):  # such calls get a 400 in the one error shape
        components["schemas"].pop(name, None)
    for path in document["paths"].values():
        for method, operation in path.items():
            if method == "get" and "application/json" in operation["responses"]["200"].get("content", {}):
                _add_etag(operation)
            if method == "post":
                operation["responses"]["507"] = {
                    "description": _REASONS[507],
                    "headers": dict(_RETRY_AFTER),
                    **_ERROR,
                }
            _complete_operation(operation)
    return document


def _add_etag(operation: dict[str, Any]) -> None:
    """What `etags.py` does to every answer in JSON."""
    etag = {"etag": _header("changes with the content")}
    operation["parameters"] = [*operation.get("parameters", []), _IF_NONE_MATCH]
    operation["responses"]["200"]["headers"] = etag
    operation["responses"]["304"] = {"description": "Nothing has changed since.", "headers": etag}


def _complete_operation(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    needs_key = operation.get("security") != NEEDS_NO_KEY["security"]
    for status in (401, 403, 500) if needs_key else (403,):
        responses[str(status)] = {"description": _REASONS[status], **_ERROR}
    for response in responses.values():
        response["headers"] = {**response.get("headers", {}), "x-request-id": _REQUEST_ID}
    operation["responses"] = dict(sorted(responses.items()))
