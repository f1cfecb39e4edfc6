"""What a person sees while they wait: one bar on a terminal, a line now and then anywhere else. Writes to
stderr.
"""

import sys
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from tqdm import tqdm

from scripts.client.wire import Batch

_LINE_EVERY_SECONDS: Final = 30
_PACE_SECONDS: Final = 60
_BAR: Final = "{percentage:3.0f}%|{bar:24}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
_PHASES: Final = {
    "loading_model": "loading the model",
    "waiting_for_worker": "waiting for a worker (start one with `make worker`)",
}


@dataclass(frozen=True)
class Standing:
    """How far it is: `done` of `total` requests are over, `failed` of them badly."""

    total: int
    done: int
    failed: int
    doing: str

    def describe(self, requests_per_second: float) -> str:
        parts = []
        if requests_per_second > 0 and self.done < self.total:
            parts.append(f"{requests_per_second:,.1f} req/s")
            parts.append(f"ETA {duration((self.total - self.done) / requests_per_second)}")
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        if self.doing:
            parts.append(self.doing)
        return " · ".join(parts)


def describe_phases(batches: Iterable[Batch]) -> str:
    """What the open batches are doing: "2 running, 1 queued"; without the number when there is one batch."""
    words = Counter(_PHASES.get(batch.phase, batch.phase) for batch in batches if not batch.is_final)
    if words.total() == 1:
        return next(iter(words))
    return ", ".join(f"{count} {word}" for word, count in words.items())


class Pace:
    """How fast it goes: over the last minute or so, counted from when the first request was seen to end."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, now: float, done: int) -> float:
        """Requests per second; 0 while nothing can be said."""
        if len(self._seen) == 1 and self._seen[0][1] == done:
            self._seen.clear()
        self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[1][0] <= now - _PACE_SECONDS:
            self._seen.popleft()
        since, before = self._seen[0]
        return (done - before) / (now - since) if now > since else 0.0


class Progress:
    """A bar, or lines where there is no terminal, or nothing when `quiet`."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._is_terminal = sys.stderr.isatty()
        self._bar: tqdm[Any] | None = None
        self._pace = Pace()
        self._last_text, self._last_line_at = "", float("-inf")

    def show(self, standing: Standing, now: float, *, trouble: str | None = None) -> None:
        """`trouble` takes the place of what is being done."""
        if self._quiet:
            return
        text = trouble or standing.describe(self._pace.note(now, standing.done))
        if self._is_terminal:
            self._draw(standing, text)
        elif now - self._last_line_at >= _LINE_EVERY_SECONDS or (trouble and trouble != self._last_text):
            self._last_line_at, self._last_text = now, text
            print(f"{standing.done:,}/{standing.total:,} {text}".rstrip(), file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _draw(self, standing: Standing, text: str) -> None:
        if self._bar is None:
            self._bar = tqdm(
                total=standing.total,
                initial=standing.done,
                unit="req",
                bar_format=_BAR,
                file=sys.stderr,
                dynamic_ncols=True,
            )
        self._bar.n = standing.done
        self._bar.set_postfix_str(text)


def duration(seconds: float) -> str:
    """Two units are enough: "3 h 20 min", "45 s"."""
    whole = max(0, round(seconds))
    days, hours, minutes = whole // 86_400, whole // 3_600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if whole >= 3_600:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if whole >= 60 else f"{whole} s"
