"""Whether an engine that has work shows any sign of working on it.

Pure: told the monotonic time and the engine's readings.

A hung engine looks healthy: only its counters tell. They move with every step, also in the middle of a long prompt.
One step may take minutes (a big model on a small CPU, a grammar that is compiled), but it costs processor time.
"""

from dataclasses import replace

from batch_app.inference.engine import EngineCounters

_BUSY_PATIENCE = 6  # an engine that only computes gets so many times the patience
_BUSY_SHARE = 0.05  # of the time; an idle process with its threads uses a hundredth
_LONGEST_TURN_SECONDS = 5.0  # between two looks; more means that this process slept too


class StallDetector:
    """`stall_seconds` without any sign of work is too long; several times that without a step."""

    def __init__(self, *, stall_seconds: float) -> None:
        self._stall_seconds = stall_seconds
        self.reset(0.0)

    def reset(self, now: float) -> None:
        """Begin anew: another engine, or nothing to do."""
        self._looked_at = now
        self._steps: object = None
        self._busy_seconds = 0.0
        self._still = self._silent = 0.0  # seconds without a step, and without a sign of any work

    def stalled(self, now: float, counters: EngineCounters, *, in_flight: int) -> str | None:
        """Why the engine is taken to be hung; None while it is not. To be asked every turn."""
        passed = min(now - self._looked_at, _LONGEST_TURN_SECONDS)
        steps = (replace(counters, busy_seconds=0.0), in_flight)
        if steps != self._steps or in_flight == 0:
            self.reset(now)
            self._steps, self._busy_seconds = steps, counters.busy_seconds
            return None
        self._looked_at = now
        self._still += passed
        self._silent += passed
        if counters.busy_seconds - self._busy_seconds >= _BUSY_SHARE * self._stall_seconds:
            self._busy_seconds, self._silent = counters.busy_seconds, 0.0
        if self._silent > self._stall_seconds:
            return f"it showed no sign of work for {self._silent:.0f} s"
        if self._still > _BUSY_PATIENCE * self._stall_seconds:
            return f"it computed for {self._still:.0f} s without a result"
        return None
