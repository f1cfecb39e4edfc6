"""Declares the options of a batch: what a client may set besides the file and the model.

`BatchOptions` declares each option's type and default, `OPTIONS` its name on the wire, its check and its schemas. The
forms of `POST /v1/batches`, the stored columns, a retry and the digest behind an Idempotency-Key are derived from these
two; an option needs a column in `store/tables.py`, a migration, and the code that acts on it besides. The bounds are
those of OpenAI's Batch API where it has the option. Knows nothing about HTTP or the database.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final, cast

import orjson

from batch_app.errors import OptionError
from batch_app.input.line_order import LINE_ORDERS, LineOrder

_PRIORITIES: Final = range(-100, 100 + 1)
_LIFETIMES: Final = range(3600, 2_592_000 + 1)  # seconds: an hour to thirty days
_MAX_METADATA_PAIRS, _MAX_METADATA_KEY, _MAX_METADATA_VALUE = 16, 64, 512
_WHOLE_NUMBER: Final = re.compile(r"[+-]?\d{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """The options of one batch. What a client asks for, a new batch and a stored batch all have these fields."""

    priority: int = 0
    line_order: LineOrder = "auto"
    deduplicate: bool = False
    use_cache: bool = False
    metadata: dict[str, str] | None = None
    completion_window: str | None = None
    output_expires_after_seconds: int | None = None


OPTION_FIELDS: Final = tuple(field.name for field in fields(BatchOptions))


def values_of(options: BatchOptions) -> dict[str, Any]:
    """Returns the options by attribute name, those of a subclass's instance without its further fields."""
    return {name: getattr(options, name) for name in OPTION_FIELDS}


@dataclass(frozen=True, slots=True)
class Option:
    """One option as clients send it.

    `check` turns a JSON value, or None where nothing was sent, into the value of the attribute, or raises OptionError.
    `form_schema` and `from_text` are those of the multipart form; `from_text` turns the text of a field into a JSON
    value for `check`. Both are None for an option that the form does not have.
    """

    name: str
    attribute: str
    check: Callable[[Any], Any]
    schema: dict[str, Any]
    form_schema: dict[str, Any] | None = None
    from_text: Callable[[str], Any] | None = None
    is_required_in_json: bool = False


def _refuse(param: str, message: str, code: str = "invalid_value") -> OptionError:
    return OptionError(message, param=param, code=code)


def _check_priority(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, int) and not isinstance(value, bool) and value in _PRIORITIES:
        return value
    raise _refuse("priority", f"'priority' must be a whole number from -100 to 100, got {str(value)[:40]!r}.")


def _check_line_order(value: Any) -> LineOrder:
    if value is None:
        return "auto"
    if value in LINE_ORDERS:
        return cast(LineOrder, value)
    raise _refuse("order", f"'order' must be one of {', '.join(LINE_ORDERS)}, got {str(value)[:40]!r}.")


def _check_switch(param: str) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        if value is None:
            return False
        if isinstance(value, bool):
            return value
        raise _refuse(param, f"'{param}' must be true or false, got {str(value)[:40]!r}.")

    return check


def check_lifetime(seconds: Any, *, param: str) -> int:
    """Returns a lifetime of a file in seconds, from an hour to thirty days. Raises OptionError."""
    if isinstance(seconds, int) and not isinstance(seconds, bool) and seconds in _LIFETIMES:
        return seconds
    raise _refuse(param, f"'{param}' must be a whole number from 3600 to 2592000.")


def _check_output_lifetime(value: Any) -> int | None:
    """`{"anchor": "created_at", "seconds": N}` becomes N."""
    if value is None:
        return None
    if not isinstance(value, dict) or value.get("anchor") != "created_at":
        message = '\'output_expires_after\' must be {"anchor": "created_at", "seconds": N}.'
        raise _refuse("output_expires_after.anchor", message)
    return check_lifetime(value.get("seconds"), param="output_expires_after.seconds")


def _check_metadata(metadata: Any) -> dict[str, str] | None:
    """Allows up to 16 pairs of strings, keys of up to 64 characters and values of up to 512."""
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise _refuse("metadata", "'metadata' must be an object of strings.", "invalid_type")
    if len(metadata) > _MAX_METADATA_PAIRS:
        message = f"'metadata' has {len(metadata)} pairs; {_MAX_METADATA_PAIRS} are allowed."
        raise _refuse("metadata", message, "invalid_type")
    for key, value in metadata.items():
        param = f"metadata.{key}"
        if not isinstance(value, str):
            message = f"Invalid type for '{param}': expected a string, got {type(value).__name__}."
            raise _refuse(param, message, "invalid_type")
        if len(key) > _MAX_METADATA_KEY or len(value) > _MAX_METADATA_VALUE:
            message = (
                f"'{param[:80]}' has a key of {len(key)} and a value of {len(value)} characters; "
                f"{_MAX_METADATA_KEY} and {_MAX_METADATA_VALUE} are allowed."
            )
            raise _refuse(param[:80], message, "invalid_type")
    return metadata


def _check_completion_window(value: Any) -> str | None:
    """Checks the type only: which windows are allowed is a setting."""
    if value is None or isinstance(value, str):
        return value
    message = f"Invalid type for 'completion_window': expected a string, got {type(value).__name__}."
    raise _refuse("completion_window", message, "invalid_type")


def _number_from_text(text: str) -> int | str:
    """Returns a text that is no whole number unchanged, for the check to refuse."""
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else text


def _switch_from_text(text: str) -> bool | str:
    """Returns a text that is neither true nor false unchanged, for the check to refuse."""
    return {"true": True, "false": False}.get(text, text)


def _metadata_from_text(text: str) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _refuse("metadata", "'metadata' must be a JSON object.") from None
    if not isinstance(value, dict):
        raise _refuse("metadata", "'metadata' must be a JSON object of strings.", "invalid_type")
    return value


def _switch(name: str, description: str) -> Option:
    return Option(
        name,
        name,
        _check_switch(name),
        schema={"type": ["boolean", "null"], "default": False, "description": description},
        form_schema={
            "type": "string",
            "enum": ["true", "false"],
            "default": "false",
            "description": description,
        },
        from_text=_switch_from_text,
    )


_PRIORITY_SCHEMA: Final = {
    "type": "integer",
    "minimum": _PRIORITIES.start,
    "maximum": _PRIORITIES.stop - 1,
    "default": 0,
    "description": "batches with a higher priority are answered first",
}
_ORDER_SCHEMA: Final = {
    "type": "string",
    "enum": list(LINE_ORDERS),
    "default": "auto",
    "description": "order of work: auto answers requests with a common beginning one after the other, long ones first; "
    "submission keeps the order of the file",
}
_WINDOW_SCHEMA: Final = {"type": "string", "description": "for example 24h"}

OPTIONS: Final = (
    Option("priority", "priority", _check_priority, _PRIORITY_SCHEMA, _PRIORITY_SCHEMA, _number_from_text),
    Option("order", "line_order", _check_line_order, _ORDER_SCHEMA, _ORDER_SCHEMA, str),
    _switch("deduplicate", "compute equal requests once if their answers must be equal, and copy the answer"),
    _switch(
        "use_cache",
        "take answers that must be equal from earlier batches, and keep new ones for later batches",
    ),
    Option(
        "metadata",
        "metadata",
        _check_metadata,
        schema={"type": ["object", "null"], "additionalProperties": {"type": "string"}},
        form_schema={"type": "string", "description": "JSON object of strings"},
        from_text=_metadata_from_text,
    ),
    Option(
        "completion_window",
        "completion_window",
        _check_completion_window,
        schema=_WINDOW_SCHEMA,
        form_schema=_WINDOW_SCHEMA,
        from_text=str,
        is_required_in_json=True,
    ),
    Option(
        "output_expires_after",
        "output_expires_after_seconds",
        _check_output_lifetime,
        schema={
            "type": ["object", "null"],
            "required": ["anchor", "seconds"],
            "properties": {
                "anchor": {"const": "created_at"},
                "seconds": {
                    "type": "integer",
                    "minimum": _LIFETIMES.start,
                    "maximum": _LIFETIMES.stop - 1,
                },
            },
        },
    ),
)


def from_json(body: dict[str, Any]) -> dict[str, Any]:
    """Returns the checked options in the body of the JSON form, by attribute name. Raises OptionError."""
    return {option.attribute: option.check(body.get(option.name)) for option in OPTIONS}


def from_form(texts: dict[str, str]) -> dict[str, Any]:
    """Returns the checked options in the text fields of the multipart form, by attribute name. Raises OptionError."""
    found = {}
    for option in OPTIONS:
        text = texts.get(option.name)
        value = option.from_text(text) if option.from_text is not None and text is not None else None
        found[option.attribute] = option.check(value)
    return found
