"""The JSON form of `POST /v1/batches`, as OpenAI's clients send it: an uploaded file is named, not sent."""

from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import Request

from batch_app import options
from batch_app.api.batch_spec import BatchSpec
from batch_app.api.errors import ApiError
from batch_app.api.multipart_form import idempotency_key
from batch_app.input.request_lines import ENDPOINTS
from batch_app.options import OPTIONS

_MAX_BODY_BYTES = 64 * 1024
_MAX_FILE_ID = 256  # longer than any: what is only unknown makes a failed batch that repeats it

CREATION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["input_file_id", "endpoint", *(o.name for o in OPTIONS if o.is_required_in_json)],
    "additionalProperties": False,
    "properties": {
        "input_file_id": {
            "type": "string",
            "minLength": 1,
            "maxLength": _MAX_FILE_ID,
            "description": "a file uploaded with purpose batch",
        },
        "endpoint": {"type": "string", "enum": list(ENDPOINTS)},
        **{option.name: option.schema for option in OPTIONS},
    },
}


@dataclass(frozen=True)
class Creation:
    """What a client asks for: a batch of the requests in a file that is here already."""

    input_file_id: str
    endpoint: str
    spec: BatchSpec


async def read_creation(request: Request) -> Creation:
    """Reads and checks the body. Raises ApiError 400 naming the parameter, and OptionError."""
    body = await _read_object(request)
    if unknown := sorted(set(body) - set(CREATION_SCHEMA["properties"])):
        raise ApiError(
            400, "unknown_parameter", f"Unknown parameter: '{unknown[0][:80]}'.", param=unknown[0][:80]
        )
    input_file_id, endpoint, *_options = (_required_text(body, name) for name in CREATION_SCHEMA["required"])
    _check_file_id(input_file_id)
    if endpoint not in ENDPOINTS:
        message = f"'endpoint' must be one of {', '.join(ENDPOINTS)}; got {endpoint[:80]!r}."
        raise ApiError(400, "invalid_value", message, param="endpoint")
    spec = BatchSpec(
        model=None,
        filename="",
        dialect="openai",
        idempotency_key=idempotency_key(request),
        **options.from_json(body),
    )
    return Creation(input_file_id, endpoint, spec)


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
