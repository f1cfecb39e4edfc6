"""Batches that cannot be taken up at present, why, and when each is tried again: the others must not wait for them.

Pure: told the monotonic time and the open batches. Nothing of it outlives the worker; the next one simply tries.
"""

from collections.abc import Collection
from dataclasses import dataclass

RETRY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Refusal:
    reason: str
    at: float


class DeferredBatches:
    """By the ids of batches."""

    def __init__(self) -> None:
        self._refusals: dict[str, _Refusal] = {}

    @property
    def trouble(self) -> str | None:
        for batch_id, refusal in self._refusals.items():
            tried = f"It is tried again every {RETRY_SECONDS:.0f} s"
            return f"Batch {batch_id} cannot be taken up: {refusal.reason}. {tried}; the others go on."
        return None

    def note(self, batch_id: str, reason: str, now: float) -> None:
        self._refusals[batch_id] = _Refusal(reason, now)

    def forget(self, batch_id: str) -> None:
        self._refusals.pop(batch_id, None)

    def keep_only(self, open_ids: Collection[str]) -> None:
        """The others have ended, whoever ended them."""
        self._refusals = {key: refusal for key, refusal in self._refusals.items() if key in open_ids}

    def holds(self, batch_id: str, now: float) -> bool:
        """Returns whether it is too soon to try again."""
        refusal = self._refusals.get(batch_id)
        return refusal is not None and now - refusal.at < RETRY_SECONDS
