"""One input line to a request or its errors; one outcome to one output line.

Pure: no files, no database, no clock. Rules and codes are those OpenAI's Batch API was observed to apply; what is
accepted here is what an engine may ever see, so `ENDPOINTS` is an exact list; `bodies` says what no body may ask.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from batch_app.input import body_rules

# Each endpoint with the fields its body cannot do without.
ENDPOINTS: Final[dict[str, tuple[str, ...]]] = {
    "/v1/chat/completions": ("messages",),
    "/v1/completions": ("prompt",),
    "/v1/responses": ("input",),
    "/v1/embeddings": ("input",),
    "/score": (),
    "/v1/score": (),
    "/rerank": ("query", "documents"),
    "/v1/rerank": ("query", "documents"),
}
MAX_CUSTOM_ID: Final = 512
MAX_MODEL_NAME: Final = 256
_CONTROL_CHARACTERS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MOST_TOKENS: Final = 2**53


@dataclass(frozen=True, slots=True)
class LineError:
    """One thing wrong with one line. `param` is the field's path, None when the line is not JSON."""

    line: int
    code: str
    message: str
    param: str | None = None


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """An accepted line: what it asks of which model. `model` is None when the batch names it."""

    custom_id: str
    url: str
    model: str | None
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """A refused line. Its `custom_id`, where it has a possible one, is taken all the same."""

    errors: list[LineError]
    custom_id: str | None = None


def check_line(
    raw: bytes,
    line: int,
    *,
    model_given: bool,
    endpoint: str | None = None,
    allow_grammars: bool = False,
) -> ParsedRequest | RejectedLine:
    """Check one line by itself; every error it has is listed. Never raises, whatever the bytes.

    `model_given`: the batch names the model, so the bodies need not. `endpoint`: the batch's; None when any will do.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return RejectedLine(
            [LineError(line, "invalid_json_line", "This line is not parseable as valid JSON.")]
        )
    if not isinstance(value, dict):
        return RejectedLine(
            [LineError(line, "invalid_json_line", "This line is valid JSON but not an object.")]
        )
    problems = list(_problems(value, model_given=model_given, endpoint=endpoint))
    if isinstance(value.get("body"), dict):
        problems += body_rules.problems(value["body"], allow_grammars=allow_grammars)
    errors = [LineError(line, *problem) for problem in problems]
    custom_id = value.get("custom_id")
    if errors:
        return RejectedLine(errors, custom_id if _check_custom_id(custom_id) is None else None)
    body = value["body"]
    return ParsedRequest(str(custom_id), url=value["url"], model=body.get("model"), body=body)


def _problems(
    value: dict[str, Any], *, model_given: bool, endpoint: str | None
) -> Iterator[tuple[str, str, str | None]]:
    for name, check in _FIELD_CHECKS.items():
        if value.get(name) is None:
            yield "missing_required_parameter", f"Missing required parameter: '{name}'.", name
        elif problem := check(value[name]):
            yield (*problem, name)
    url = value.get("url")
    if isinstance(url, str) and url in ENDPOINTS and endpoint not in (None, url):
        yield "invalid_url", f"'url' is {url}, but this batch's endpoint is {endpoint}.", "url"
        url = None  # which fields the body needs is not known
    if isinstance(value.get("body"), dict):
        yield from _body_problems(value["body"], url, model_given=model_given)


def _check_custom_id(value: Any) -> tuple[str, str] | None:
    if not isinstance(value, str):
        return "invalid_type", f"Invalid type for 'custom_id': expected a string, got {_kind(value)}."
    if not 0 < len(value) <= MAX_CUSTOM_ID:
        return "invalid_value", f"'custom_id' has {len(value)} characters; 1 to {MAX_CUSTOM_ID} are allowed."
    if _CONTROL_CHARACTERS.search(value):
        return "invalid_value", "'custom_id' has a control character."
    return None


def _check_method(value: Any) -> tuple[str, str] | None:
    return None if value == "POST" else ("invalid_value", "'method' must be \"POST\".")


def _check_url(value: Any) -> tuple[str, str] | None:
    if isinstance(value, str) and value in ENDPOINTS:
        return None
    return "invalid_url", f"'url' must be one of {', '.join(ENDPOINTS)}."


def _check_body(value: Any) -> tuple[str, str] | None:
    if isinstance(value, dict):
        return None
    return "invalid_type", f"Invalid type for 'body': expected an object, got {_kind(value)}."


_FIELD_CHECKS: Final[dict[str, Callable[[Any], tuple[str, str] | None]]] = {
    "custom_id": _check_custom_id,
    "method": _check_method,
    "url": _check_url,
    "body": _check_body,
}


def _body_problems(
    body: dict[str, Any], url: object, *, model_given: bool
) -> Iterator[tuple[str, str, str | None]]:
    if body.get("stream"):
        yield (
            "streaming_unsupported",
            "A batch cannot stream: remove 'stream' or set it to false.",
            "body.stream",
        )
    if not model_given and not is_model_name(body.get("model")):
        yield "invalid_request", "'body.model' must name a model.", "body.model"
    for name in ENDPOINTS.get(url, ()) if isinstance(url, str) else ():
        if body.get(name) in (None, "", []):
            yield "invalid_request", f"{url} needs 'body.{name}'.", f"body.{name}"


def is_model_name(value: Any) -> bool:
    """What a model may be called: up to 256 printable characters, fit for lists and logs."""
    return isinstance(value, str) and 0 < len(value) <= MAX_MODEL_NAME and value.isprintable()


def _kind(value: Any) -> str:
    names = {str: "a string", bool: "a boolean", list: "an array", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number")


def engine_body(raw: bytes, *, model: str) -> bytes:
    """The body of an accepted line as the engine gets it: addressed to the served model, never streamed."""
    body = orjson.loads(raw)["body"]
    body["model"] = model
    body.pop("stream", None)
    body.pop("stream_options", None)
    body.pop("request_id", None)  # ours is the batch's id and the line's number
    return orjson.dumps(body)


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """What the ledger keeps of an answer's body. Token counts are 0 where the engine reports none."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    finish_reason: str | None = None
    error_code: str | None = None
    error_message: str | None = None


def read_facts(body: dict[str, Any]) -> AnswerFacts:
    """Read the body of any supported endpoint, answer or error: the chat and the responses vocabulary differ."""
    usage = _dict(body.get("usage"))
    inputs = _dict(usage.get("input_tokens_details") or usage.get("prompt_tokens_details"))
    outputs = _dict(usage.get("output_tokens_details") or usage.get("completion_tokens_details"))
    error = _dict(body.get("error"))
    first = next(map(_dict, _list(body.get("choices"))), {})
    return AnswerFacts(
        input_tokens=_count(usage.get("input_tokens") or usage.get("prompt_tokens")),
        cached_tokens=_count(inputs.get("cached_tokens")),
        output_tokens=_count(usage.get("output_tokens") or usage.get("completion_tokens")),
        reasoning_tokens=_count(outputs.get("reasoning_tokens")),
        finish_reason=_word(first.get("finish_reason") or (body.get("status") if "output" in body else None)),
        error_code=_error_code(error) if error else None,
        error_message=str(error.get("message") or "") if error else None,
    )


def _error_code(error: dict[str, Any]) -> str:
    """A word rather than a number: vLLM puts the HTTP status into `code` and the cause into `type`."""
    words = [word for word in (error.get("code"), error.get("type")) if isinstance(word, str) and word]
    return words[0] if words else str(error.get("code") or "unknown_error")


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < _MOST_TOKENS else 0


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def answer_line(
    *,
    batch_id: str,
    line: int,
    custom_id: str,
    request_id: str,
    status: int,
    body: Any,
    from_cache: bool = False,
) -> bytes:
    """A line of the output file, or of the error file when `status` is not 200; one from the cache is marked so."""
    response = {"status_code": status, "request_id": request_id, "body": body}
    return _output_line(batch_id, line, custom_id, response, None, {"cached": True} if from_cache else {})


def repeated_line(text: bytes, *, batch_id: str, line: int, custom_id: str) -> bytes:
    """The answer line of another request as that of one which must get the same answer, marked as such."""
    row = orjson.loads(text)
    own = {"id": _row_id(batch_id, line), "custom_id": custom_id, "deduplicated_from": row["custom_id"]}
    return orjson.dumps({**row, **own}, option=orjson.OPT_APPEND_NEWLINE)


def unanswered_line(*, batch_id: str, line: int, custom_id: str, code: str, message: str) -> bytes:
    """A line of the error file for a request that never got an answer (cancelled, expired, engine death)."""
    return _output_line(batch_id, line, custom_id, None, {"code": code, "message": message})


def _output_line(
    batch_id: str, line: int, custom_id: str, response: Any, error: Any, marks: dict[str, Any] | None = None
) -> bytes:
    row = {
        "id": _row_id(batch_id, line),
        "custom_id": custom_id,
        "response": response,
        "error": error,
        **(marks or {}),
    }
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def _row_id(batch_id: str, line: int) -> str:
    return f"batch_req_{batch_id.removeprefix('batch_')}_{line}"
