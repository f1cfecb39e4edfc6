"""What the machine bears: when feeding must pause for heat, when the engine must make room, what a person must know.

Pure: told the monotonic time and the readings. One missing reading changes nothing, a minute of them ends a pause.
"""

import logging

from batch_app.host.gpu import GpuSnapshot

log = logging.getLogger(__name__)

_COOL_BY_C = 5.0
_BLIND_SECONDS = 60.0  # a driver that is reset is back sooner
_BETWEEN_RECYCLES_SECONDS = 600.0  # a model that needs more than is allowed must not be loaded all day
_GIB = 1024**3


class ResourceGuard:
    """Readings in, verdicts out. `max_memory_bytes` None: the engine may grow as it likes."""

    def __init__(self, *, max_temperature_c: float, max_memory_bytes: int | None) -> None:
        self._limit_c, self._max_memory_bytes = max_temperature_c, max_memory_bytes
        self._temperature_c = 0.0
        self._temperature_at = 0.0
        self._gpu_at: float | None = None  # when a GPU was last read; None until one was
        self._is_gpu_lost = False
        self._memory_bytes = 0
        self.is_hot = False

    def look(self, now: float, gpu: GpuSnapshot | None, memory_bytes: int) -> None:
        """Take in one reading; the same one may come several times."""
        self._memory_bytes = memory_bytes
        self._look_for_gpu(now, present=gpu is not None)
        if gpu is not None and gpu.temperature_c is not None:
            self._temperature_c, self._temperature_at = gpu.temperature_c, now
            self._pause(gpu.temperature_c > (self._limit_c - _COOL_BY_C if self.is_hot else self._limit_c))
        elif self.is_hot and now - self._temperature_at > _BLIND_SECONDS:
            self._pause(False)  # the card protects itself; waiting for a reading could last for ever

    def _look_for_gpu(self, now: float, *, present: bool) -> None:
        if present:
            self._gpu_at = now
        lost = self._gpu_at is not None and now - self._gpu_at > _BLIND_SECONDS
        if lost != self._is_gpu_lost:
            log.error("gpu_lost") if lost else log.info("gpu_found")
        self._is_gpu_lost = lost

    def _pause(self, hot: bool) -> None:  # noqa: FBT001
        if hot != self.is_hot:
            action = "feeding_paused" if hot else "feeding_resumed"
            log.warning(action, extra={"temperature_c": self._temperature_c, "limit_c": self._limit_c})
        self.is_hot = hot

    @property
    def is_crowded(self) -> bool:
        return self._max_memory_bytes is not None and self._memory_bytes > self._max_memory_bytes

    def wants_new_engine(self, now: float, *, ready_since: float) -> bool:
        """Whether the engine should be replaced, to give back what it holds."""
        return self.is_crowded and now - ready_since > _BETWEEN_RECYCLES_SECONDS

    @property
    def trouble(self) -> str | None:
        """What a person must know of it."""
        if self._is_gpu_lost:
            return "The GPU no longer answers: see `nvidia-smi`. If it stays so, restart the machine."
        if self.is_hot:
            return (
                f"The GPU is at {self._temperature_c:.0f} °C: no request is sent to the engine until it is at "
                f"{self._limit_c - _COOL_BY_C:.0f} °C."
            )
        if self.is_crowded:
            held, limit = self._memory_bytes / _GIB, (self._max_memory_bytes or 0) / _GIB
            return (
                f"The worker and its engine hold {held:.1f} GiB of memory, more than the {limit:.1f} GiB of "
                "BATCH_MAX_MEMORY_PERCENT: the engine is replaced between requests, at most every 10 minutes."
            )
        return None
