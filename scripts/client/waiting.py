"""The loop around the turns: sleeps between them, bears trouble with patience, keeps the bar moving."""

import time
from typing import Final, Protocol

from scripts.client.errors import BusyError, UnavailableError
from scripts.client.progress import Progress, Standing

_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 60.0


class Turns(Protocol):
    """Something that comes forward a turn at a time. `run_once` says whether the next turn should follow at
    once.
    """

    @property
    def finished(self) -> bool: ...

    def run_once(self, now: float, /) -> bool: ...

    def standing(self) -> Standing: ...


class Patience:
    """Pauses that double while there is trouble. When no turn was good for `limit_seconds` the trouble is
    raised.
    """

    def __init__(self, limit_seconds: float) -> None:
        self._limit = limit_seconds
        self._since: float | None = None
        self._pause = _FIRST_PAUSE_SECONDS

    def pause(self, trouble: UnavailableError, now: float) -> float:
        self._since = now if self._since is None else self._since
        if now - self._since >= self._limit:
            raise trouble
        pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
        return pause

    def relieve(self) -> None:
        self._since, self._pause = None, _FIRST_PAUSE_SECONDS


def run_to_end(turns: Turns, progress: Progress, *, interval_seconds: float, patience: Patience) -> None:
    """Turn until finished. Raises what a turn raises, except trouble that passes while patience lasts."""
    try:
        while not turns.finished:
            pause, trouble = _turn(turns, interval_seconds, patience)
            progress.show(turns.standing(), time.monotonic(), trouble=trouble)
            if not turns.finished:
                time.sleep(pause)
    finally:
        progress.close()


def _turn(turns: Turns, interval_seconds: float, patience: Patience) -> tuple[float, str | None]:
    """One turn: how long to sleep after it, and what was in its way."""
    now = time.monotonic()
    try:
        again = turns.run_once(now)
    except UnavailableError as error:
        pause = patience.pause(error, now)
        return pause, f"{error} (trying again in {pause:.0f} s)"
    except BusyError as error:
        return error.retry_after_seconds, f"{error} (trying again in {error.retry_after_seconds:.0f} s)"
    patience.relieve()
    return (0.0 if again else interval_seconds), None
