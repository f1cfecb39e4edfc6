"""What a client may ask for besides the requests themselves, whichever form it uses. OpenAI's bounds."""

from typing import Any, cast

from batch_app.api.errors import ApiError
from batch_app.input.line_order import LINE_ORDERS, LineOrder
from batch_app.settings import Settings

_PRIORITIES = range(-100, 101)
_LIFETIMES = range(3600, 2_592_000 + 1)
_MAX_METADATA_PAIRS, _MAX_METADATA_KEY, _MAX_METADATA_VALUE = 16, 64, 512


def check_priority(value: Any) -> int:
    """0 when none is given. Raises ApiError."""
    if value is None:
        return 0
    if isinstance(value, int) and not isinstance(value, bool) and value in _PRIORITIES:
        return value
    message = f"'priority' must be a whole number from -100 to 100, got {str(value)[:40]!r}."
    raise ApiError(400, "invalid_value", message, param="priority")


def check_line_order(value: Any) -> LineOrder:
    """`auto` when none is given. Raises ApiError."""
    if value is None:
        return "auto"
    if value in LINE_ORDERS:
        return cast(LineOrder, value)
    message = f"'order' must be one of {', '.join(LINE_ORDERS)}, got {str(value)[:40]!r}."
    raise ApiError(400, "invalid_value", message, param="order")


def check_switch(value: Any, *, param: str) -> bool:
    """Off when nothing is given. Raises ApiError."""
    if value is None:
        return False
    if isinstance(value, bool):
        return value
    message = f"'{param}' must be true or false, got {str(value)[:40]!r}."
    raise ApiError(400, "invalid_value", message, param=param)


def check_lifetime(seconds: Any, *, param: str) -> int:
    """OpenAI's bounds for the life of a file: an hour to thirty days. Raises ApiError."""
    if isinstance(seconds, int) and not isinstance(seconds, bool) and seconds in _LIFETIMES:
        return seconds
    raise ApiError(
        400, "invalid_value", f"'{param}' must be a whole number from 3600 to 2592000.", param=param
    )


def window_seconds(window: str | None, settings: Settings) -> float | None:
    """How long a completion window lasts, None without one. Raises ApiError when it is not an allowed one."""
    if window is None:
        return None
    allowed = settings.window_seconds
    if window not in allowed:
        message = f"'completion_window' must be one of {', '.join(allowed)}; got {window!r}."
        raise ApiError(400, "invalid_value", message, param="completion_window")
    return allowed[window]


def check_metadata(metadata: object) -> None:
    """OpenAI's rules: up to 16 pairs of strings, keys to 64 characters, values to 512. Raises ApiError."""
    if metadata is None:
        return
    if not isinstance(metadata, dict):
        raise ApiError(400, "invalid_type", "'metadata' must be an object of strings.", param="metadata")
    if len(metadata) > _MAX_METADATA_PAIRS:
        message = f"'metadata' has {len(metadata)} pairs; {_MAX_METADATA_PAIRS} are allowed."
        raise ApiError(400, "invalid_type", message, param="metadata")
    for key, value in metadata.items():
        param = f"metadata.{key}"
        if not isinstance(value, str):
            message = f"Invalid type for '{param}': expected a string, got {type(value).__name__}."
            raise ApiError(400, "invalid_type", message, param=param)
        if len(key) > _MAX_METADATA_KEY or len(value) > _MAX_METADATA_VALUE:
            message = (
                f"'{param[:80]}' has a key of {len(key)} and a value of {len(value)} characters; "
                f"{_MAX_METADATA_KEY} and {_MAX_METADATA_VALUE} are allowed."
            )
            raise ApiError(400, "invalid_type", message, param=param[:80])
