"""Which model to have loaded, and whose line goes to the engine next. Reads no clock, changes no run."""

import math
from collections.abc import Iterable, Sequence
from typing import Final

from batch_app.processing.claimed_batch import ClaimedBatch
from batch_app.store.batches import Batch

# With one request at a time the engine does a small part of what it could, so suspects get about a sixth of the time;
# and several in a row, because the window has to empty for the first.
OTHERS_SECONDS: Final = 300.0
ALONE_SECONDS: Final = 60.0


def choose_model(
    waiting: Sequence[Batch], *, loaded: str | None, loaded_since: float, turn_seconds: float, now: float
) -> str | None:
    """The model to have loaded, from the batches that want work, in the order they deserve it.

    The loaded one stays while it has work and its turn lasts, or nobody else waits; so a swap is rare. Then it is
    the next one's turn, round and round, so no model waits longer than one turn of each of the others.
    """
    models = list(dict.fromkeys(batch.served_model for batch in waiting))
    if loaded not in models:
        return models[0] if models else loaded
    if now - loaded_since < turn_seconds:
        return loaded
    return models[(models.index(loaded) + 1) % len(models)]


def next_run(runs: Iterable[ClaimedBatch]) -> ClaimedBatch | None:
    """The run to take a line from: highest priority first, then the one whose turn is longest ago."""
    return _first(run for run in runs if run.ready)


def next_suspect(runs: Iterable[ClaimedBatch]) -> ClaimedBatch | None:
    """The run whose suspect is to be alone with the engine next, in the same order."""
    return _first(run for run in runs if run.suspect)


def _first(runs: Iterable[ClaimedBatch]) -> ClaimedBatch | None:
    return min(runs, key=lambda run: (-run.batch.priority, run.last_fed), default=None)


class SuspectSchedule:
    """Suspects wait for an empty window, which others may fill for ever. So these stop when one has waited for
    `OTHERS_SECONDS`, and go on `ALONE_SECONDS` after the window was empty. Higher priorities are not stopped."""

    def __init__(self) -> None:
        self._is_on = False
        self._begins_at = self._ends_at = math.inf

    def is_on(
        self, suspected: ClaimedBatch | None, ready: ClaimedBatch | None, *, held: int, now: float
    ) -> bool:
        """`suspected` is the run whose suspect is next, `ready` the one whose line is; `held` as in `Runs`."""
        if suspected is None:
            self._is_on, self._begins_at = False, math.inf
        elif not self._is_on:
            self._begins_at = min(self._begins_at, now + OTHERS_SECONDS)
            is_outranked = ready is not None and ready.batch.priority > suspected.batch.priority
            self._is_on, self._ends_at = now >= self._begins_at and not is_outranked, math.inf
        if self._is_on and held == 0:
            self._ends_at = min(self._ends_at, now + ALONE_SECONDS)
            if now >= self._ends_at:
                self._is_on, self._begins_at = False, now + OTHERS_SECONDS
        return self._is_on
