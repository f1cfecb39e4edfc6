"""The JSON form of `POST /v1/batches`, as OpenAI's clients send it: an uploaded file is named, not sent."""

from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import Request

from batch_app.api.batch_spec import BatchSpec
from batch_app.api.errors import ApiError
from batch_app.api.multipart_form import idempotency_key
from batch_app.api.option_checks import check_lifetime, check_line_order, check_priority, check_switch
from batch_app.input.line_order import LINE_ORDERS
from batch_app.input.request_lines import ENDPOINTS

_MAX_BODY_BYTES = 64 * 1024
_MAX_FILE_ID = 256  # longer than any: what is only unknown makes a failed batch that repeats it

CREATION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["input_file_id", "endpoint", "completion_window"],
    "additionalProperties": False,
    "properties": {
        "input_file_id": {
            "type": "string",
            "minLength": 1,
            "maxLength": _MAX_FILE_ID,
            "description": "a file uploaded with purpose batch",
        },
        "endpoint": {"type": "string", "enum": list(ENDPOINTS)},
        "completion_window": {"type": "string", "description": "for example 24h"},
        "metadata": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
        "output_expires_after": {
            "type": ["object", "null"],
            "required": ["anchor", "seconds"],
            "properties": {
                "anchor": {"const": "created_at"},
                "seconds": {"type": "integer", "minimum": 3600, "maximum": 2_592_000},
            },
        },
        "priority": {"type": "integer", "minimum": -100, "maximum": 100, "default": 0},
        "deduplicate": {"type": ["boolean", "null"], "default": False},
        "use_cache": {"type": ["boolean", "null"], "default": False},
        "order": {"type": "string", "enum": list(LINE_ORDERS), "default": "auto"},
    },
}


@dataclass(frozen=True)
class Creation:
    """What a client asks for: a batch of the requests in a file that is here already."""

    input_file_id: str
    endpoint: str
    order: BatchSpec


async def read_creation(request: Request) -> Creation:
    """Raises ApiError 400 naming the parameter."""
    body = await _read_object(request)
    if unknown := sorted(set(body) - set(CREATION_SCHEMA["properties"])):
        raise ApiError(
            400, "unknown_parameter", f"Unknown parameter: '{unknown[0][:80]}'.", param=unknown[0][:80]
        )
    input_file_id, endpoint, window = (
        _required_text(body, name) for name in ("input_file_id", "endpoint", "completion_window")
    )
    _check_file_id(input_file_id)
    if endpoint not in ENDPOINTS:
        message = f"'endpoint' must be one of {', '.join(ENDPOINTS)}; got {endpoint[:80]!r}."
        raise ApiError(400, "invalid_value", message, param="endpoint")
    order = BatchSpec(
        model=None,
        filename="",
        dialect="openai",
        priority=check_priority(body.get("priority")),
        line_order=check_line_order(body.get("order")),
        deduplicate=check_switch(body.get("deduplicate"), param="deduplicate"),
        use_cache=check_switch(body.get("use_cache"), param="use_cache"),
        metadata=body.get("metadata"),
        completion_window=window,
        output_expires_after_seconds=_lifetime(body.get("output_expires_after")),
        idempotency_key=idempotency_key(request),
    )
    return Creation(input_file_id, endpoint, order)


async def _read_object(request: Request) -> dict[str, Any]:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MAX_BODY_BYTES:
            raise ApiError(413, "body_too_large", f"The body is larger than {_MAX_BODY_BYTES} bytes.")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ApiError(400, "invalid_json", f"The body is not valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise ApiError(400, "invalid_type", "The body must be a JSON object.")
    return value


def _required_text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if value is None:
        raise ApiError(
            400, "missing_required_parameter", f"Missing required parameter: '{name}'.", param=name
        )
    if not isinstance(value, str):
        message = f"Invalid type for '{name}': expected a string, got {type(value).__name__}."
        raise ApiError(400, "invalid_type", message, param=name)
    return value


def _check_file_id(file_id: str) -> None:
    if not 0 < len(file_id) <= _MAX_FILE_ID or not file_id.isprintable():
        message = (
            f"'input_file_id' must have 1 to {_MAX_FILE_ID} printable characters: "
            "send the 'id' that POST /v1/files answered."
        )
        raise ApiError(400, "invalid_value", message, param="input_file_id")


def _lifetime(value: Any) -> int | None:
    """`{"anchor": "created_at", "seconds": N}` to N."""
    if value is None:
        return None
    if not isinstance(value, dict) or value.get("anchor") != "created_at":
        message = '\'output_expires_after\' must be {"anchor": "created_at", "seconds": N}.'
        raise ApiError(400, "invalid_value", message, param="output_expires_after.anchor")
    return check_lifetime(value.get("seconds"), param="output_expires_after.seconds")
