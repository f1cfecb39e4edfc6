"""What a request's body may not ask of an engine: to fetch, to run a client's template, to work without bound.

Pure. Every body passes here before it is stored, so this is the one place where such a door is closed; the engine's
own arguments (inference/vllm_arguments.py) close the same doors once more. SECURITY.md says why each is closed.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, Final

import orjson

Problem = tuple[str, str, str]  # code, message, path of the field

MAX_DEPTH: Final = 100
MAX_SEQUENCES: Final = 128  # OpenAI's bound on `n`
MAX_CONSTRAINT_BYTES: Final = 64 * 1024
_CONSTRAINT_NAMES: Final = (b'"response_format"', b'"structured_outputs"', b'"text"', b'"tools"')
_MEDIA_KEYS: Final = frozenset({"image_url", "audio_url", "video_url", "file_url"})
_REFUSED: Final = {
    "background": "a batch is in the background already",
    "chat_template": "the template is the model's; one from a client would be run on the server",
    "ec_transfer_params": "it moves the engine's memory between machines",
    "kv_transfer_params": "it moves the engine's memory between machines",
    "media_io_kwargs": "it changes what reading media costs",
    "mm_processor_kwargs": "it changes what reading media costs",
    "prompt_embeds": "tensors made by a client can crash the engine",
}
# A free grammar can keep a parser busy for seconds at each token; schemas, regexes and choices cannot.
_FREE_GRAMMARS: Final = ("grammar", "structural_tag")


def problems(body: dict[str, Any], *, allow_grammars: bool) -> Iterator[Problem]:
    """Everything in a body that is refused at the door."""
    for name, reason in _REFUSED.items():
        if body.get(name):
            yield "unsupported_parameter", f"'{name}' is not possible here: {reason}.", f"body.{name}"
    yield from _sequence_problems(body)
    if problem := _content_problem(body):
        yield "invalid_request", problem, "body"
    else:
        yield from _constraint_problems(body, allow_grammars=allow_grammars)


def _sequence_problems(body: dict[str, Any]) -> Iterator[Problem]:
    """A line counts as one request, so it may not be thousands."""
    for name in ("n", "best_of"):
        value = body.get(name)
        if value is not None and (type(value) is not int or not 1 <= value <= MAX_SEQUENCES):
            yield (
                "invalid_value",
                f"'{name}' must be a whole number from 1 to {MAX_SEQUENCES}.",
                f"body.{name}",
            )


def _content_problem(body: dict[str, Any]) -> str | None:
    """Bodies nested too deeply for engines, and media that the engine would have to fetch: a door into the
    machine's own network."""
    level: list[Any] = [body]
    for _depth in range(MAX_DEPTH):
        for item in level:
            if isinstance(item, dict) and (address := _foreign_media(item)):
                return f"Media must be inline data: URLs; {address[:80]!r} would be fetched from elsewhere."
        level = [child for item in level for child in _children(item)]
        if not level:
            return None
    return f"The body is nested more than {MAX_DEPTH} levels deep."


def _children(item: Any) -> Iterable[Any]:
    inner = item.values() if isinstance(item, dict) else item
    return (child for child in inner if isinstance(child, dict | list))


def _foreign_media(item: dict[str, Any]) -> str | None:
    for key in _MEDIA_KEYS & item.keys():
        address = item[key].get("url") if isinstance(item[key], dict) else item[key]
        if isinstance(address, str) and not address.startswith("data:"):
            return address
    return None


def constraint(body: dict[str, Any]) -> dict[str, Any]:
    """What the form of the answer is bound to (a schema, a regex, choices), wherever vLLM reads that from; empty
    when the answer is free."""
    text = body.get("text")
    found = {
        "response_format": body.get("response_format"),
        "structured_outputs": body.get("structured_outputs"),
        "text": text.get("format") if isinstance(text, dict) else None,
        "tools": body.get("tools") if body.get("tool_choice") not in (None, "none", "auto") else None,
    }
    return {name: value for name, value in found.items() if value and not _is_free_text(value)}


def constraint_key(raw: bytes) -> bytes | None:
    """The same for bodies whose answers are bound alike; None when the answer is free."""
    if not any(name in raw for name in _CONSTRAINT_NAMES):  # most bodies: not worth parsing once more
        return None
    found = constraint(orjson.loads(raw))
    return (
        blake2b(orjson.dumps(found, option=orjson.OPT_SORT_KEYS), digest_size=16).digest() if found else None
    )


def _is_free_text(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") == "text"


def _constraint_problems(body: dict[str, Any], *, allow_grammars: bool) -> Iterator[Problem]:
    for name, value in constraint(body).items():
        path = "body.text.format" if name == "text" else f"body.{name}"
        size = len(orjson.dumps(value))
        if size > MAX_CONSTRAINT_BYTES:
            message = f"'{path}' has {size} bytes; {MAX_CONSTRAINT_BYTES} are allowed."
            yield "constraint_too_large", message, path
        if not allow_grammars and _has_free_grammar(value):
            message = f"'{path}' has a free grammar; use a JSON schema, a regex or choices (or BATCH_ALLOW_GRAMMARS)."
            yield "unsupported_parameter", message, path


def _has_free_grammar(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return value.get("type") in _FREE_GRAMMARS or any(value.get(name) is not None for name in _FREE_GRAMMARS)
