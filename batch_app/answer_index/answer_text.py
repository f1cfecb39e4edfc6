"""What a person reads of an answer: its words, the JSON in them, and the fields of that. Pure.

The pages read single answers by the same rules (`web/static/js/shared/parsers.js`); a test holds the two together.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

_FENCE: Final = re.compile(r"```(?:json|JSON)?[^\S\n]*\n(.*?)\n?[^\S\n]*```", re.DOTALL)
_MAX_DEPTH: Final = 3
# orjson reads 1,024 levels, but writes no more than 254, and what is told of an answer lies some levels deep itself.
_MAX_NESTING: Final = 200


def answer_text(row: Any) -> str:
    """The answer of a line of an output or error file in words, or why there is none."""
    body = _dict(_dict(_dict(row).get("response")).get("body"))
    error = _dict(_dict(row).get("error") or body.get("error"))
    if error:
        return str(error.get("message") or error.get("code") or "")
    for choice in map(_dict, _list(body.get("choices"))):
        return _choice_text(choice)
    if isinstance(body.get("output"), list):
        parts = (part for item in map(_dict, body["output"]) for part in _list(item.get("content")))
        return "".join(text for part in parts if isinstance(text := _dict(part).get("text"), str))
    return _number_text(body)


def _choice_text(choice: dict[str, Any]) -> str:
    message = _dict(choice.get("message"))
    for words in (message.get("content"), choice.get("text")):
        if isinstance(words, str):
            return words
    calls = message.get("tool_calls")
    return orjson.dumps(calls).decode() if isinstance(calls, list) else ""


def _number_text(body: dict[str, Any]) -> str:
    """Embeddings by their shape; scores and ranks as they are."""
    first = next(map(_dict, _list(body.get("data"))), {})
    if isinstance(first.get("embedding"), list):
        return f"embedding of {len(first['embedding'])} numbers"
    if isinstance(first.get("score"), int | float):
        return f"score {first['score']}"
    return ""


def json_in(text: str) -> dict[str, Any] | list[Any] | None:
    """The JSON object or list an answer consists of or contains: bare, in a markdown fence, or between braces. What is
    nested too deeply to be written again counts as words."""
    if "{" not in text and "[" not in text:
        return None
    fenced = _FENCE.search(text)
    for candidate in (text, fenced[1] if fenced else "", text[text.find("{") : text.rfind("}") + 1]):
        if candidate:
            try:
                value = orjson.loads(candidate)
            except orjson.JSONDecodeError:
                continue
            if isinstance(value, dict | list):
                can_be_deep = candidate.count("{") + candidate.count("[") > _MAX_NESTING  # hardly ever
                return None if can_be_deep and is_too_deep(value) else value
    return None


def is_too_deep(value: dict[str, Any] | list[Any]) -> bool:
    """Whether it is nested too deeply to be told."""
    level: list[Any] = [value]
    for _ in range(_MAX_NESTING):
        inner = (child for item in level for child in (item.values() if isinstance(item, dict) else item))
        level = [child for child in inner if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def leaves(value: Any) -> Iterator[tuple[str, str, Any]]:
    """(path, place, value) of the plain values in a JSON value, to three levels; of a list the first item alone.

    The path is for people (`reasons[0].text`), the place for SQLite (`$."reasons"[0]."text"`).
    """
    return _leaves(value, "", "$", 0)


def _leaves(value: Any, path: str, place: str, depth: int) -> Iterator[tuple[str, str, Any]]:
    if isinstance(value, dict):
        if depth < _MAX_DEPTH:
            for name, inner in value.items():
                if '"' not in name and name:  # SQLite's paths cannot say a quote
                    yield from _leaves(
                        inner, f"{path}.{name}" if path else name, f'{place}."{name}"', depth + 1
                    )
    elif isinstance(value, list):
        if depth < _MAX_DEPTH and value:
            yield from _leaves(value[0], f"{path}[0]", f"{place}[0]", depth + 1)
    elif path:
        yield path, place, value


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
