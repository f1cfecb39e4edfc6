"""Watches the engine for one run, from turn to turn, and adds up what it sees. Told the monotonic time."""

from batch_app.inference.engine import EngineCounters
from batch_app.store.engine_usage import EngineUsage


class EngineUsageMeter:
    """`use` goes on from what earlier claims have seen."""

    def __init__(self, so_far: EngineUsage | None) -> None:
        self.use = so_far or EngineUsage()
        self._before: tuple[float, int] | None = None  # the last look, if the run had requests in flight then
        self._save_at: float | None = None

    def look(self, counters: EngineCounters, *, in_flight: int, now: float) -> None:
        """What the engine says at this moment stands for all the time since the last one."""
        before, self._before = self._before, (now, counters.preemptions) if in_flight else None
        if before is None:
            return
        seconds, old = now - before[0], self.use
        self.use = EngineUsage(
            seconds=old.seconds + seconds,
            full_seconds=old.full_seconds + (seconds if counters.requests_waiting else 0.0),
            running_seconds=old.running_seconds + seconds * counters.requests_running,
            cache_seconds=old.cache_seconds + seconds * counters.kv_cache_usage,
            # Another engine counts from 0 again.
            preemptions=old.preemptions + max(counters.preemptions - before[1], 0),
        )

    def must_be_saved(self, now: float, *, every_seconds: float) -> bool:
        """While it changes; what a crash may take from the report is no more than that. The end of a batch saves the
        rest."""
        if self._before is None:
            return False
        is_due = self._save_at is not None and now >= self._save_at
        if is_due or self._save_at is None:
            self._save_at = now + every_seconds
        return is_due
