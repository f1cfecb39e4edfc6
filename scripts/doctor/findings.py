"""What a look at one thing found. Standard library only: the doctor works where nothing else does."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`advice` says what to do about one that is not ok."""

    level: Level
    subject: str
    text: str
    advice: str = ""


def ok(subject: str, text: str) -> Finding:
    return Finding("ok", subject, text)


def warn(subject: str, text: str, advice: str) -> Finding:
    return Finding("warn", subject, text, advice)


def bad(subject: str, text: str, advice: str) -> Finding:
    return Finding("bad", subject, text, advice)


def listed(names: Iterable[object], most: int = 3) -> str:
    """The first few of many, and how many more there are."""
    words = [" ".join(str(name).split()) for name in names]
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def size(count: float) -> str:
    """Bytes, for a person."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
