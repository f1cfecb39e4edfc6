"""Reads the first GPU through NVML and decides whether it is fit for more work. Never imports torch."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from threading import Thread
from typing import Any, TypeVar

import psutil
import pynvml

_T = TypeVar("_T")

_PATIENCE_SECONDS = 5.0
_START_PATIENCE_SECONDS = 30.0
_hung: list[Thread] = []  # the reading that has not come back


@dataclass(frozen=True, slots=True)
class GpuSnapshot:
    """One reading of the first GPU. A field is None where the driver does not tell.

    `own_memory_bytes` is held by our own worker's processes; None when the driver hides who holds what.
    """

    name: str
    memory_used_bytes: int
    memory_total_bytes: int
    own_memory_bytes: int | None = None
    temperature_c: float | None = None
    utilization_percent: float | None = None
    power_w: float | None = None
    processes: int | None = None

    @property
    def memory_percent(self) -> float:
        return 100 * self.memory_used_bytes / max(self.memory_total_bytes, 1)


class RefusalCause(Enum):
    NO_GPU = "no GPU"
    TOO_HOT = "too hot"
    MEMORY_FULL = "memory full"


@dataclass(frozen=True, slots=True)
class GpuRefusal:
    """Why the GPU is unfit for another batch; `message` is half a sentence for a person."""

    cause: RefusalCause
    message: str


@dataclass(frozen=True, slots=True)
class GpuLimits:
    max_memory_percent: float
    max_temperature_c: float
    require_gpu: bool


def gpu_refusal(snapshot: GpuSnapshot | None, limits: GpuLimits, *, worker_loaded: bool) -> GpuRefusal | None:
    """Returns why a batch must be refused now; None when the GPU is fit for it.

    vLLM reserves most of the card for itself, so memory that our own worker holds is not counted. Where the
    driver hides who holds it, a loaded worker of ours is taken to hold it all.
    """
    if snapshot is None:
        message = "there is no GPU, and BATCH_REQUIRE_GPU is set"
        return GpuRefusal(RefusalCause.NO_GPU, message) if limits.require_gpu else None
    if snapshot.temperature_c is not None and snapshot.temperature_c > limits.max_temperature_c:
        message = (
            f"the GPU is at {snapshot.temperature_c:.0f} °C, the limit is {limits.max_temperature_c:.0f} °C"
        )
        return GpuRefusal(RefusalCause.TOO_HOT, message)
    own = snapshot.own_memory_bytes
    if own is None:
        own = snapshot.memory_used_bytes if worker_loaded else 0
    percent = 100 * (snapshot.memory_used_bytes - own) / max(snapshot.memory_total_bytes, 1)
    if percent > limits.max_memory_percent:
        limit = limits.max_memory_percent
        message = f"other programs hold {percent:.0f} % of the GPU's memory, the limit is {limit:.0f} %"
        return GpuRefusal(RefusalCause.MEMORY_FULL, message)
    return None


def read_gpu(*, own_pid: int | None = None) -> GpuSnapshot | None:
    """A reading of the first GPU; None without one. `own_pid` is our worker, its children included.

    A driver in trouble reads as no GPU rather than as an error: the caller decides what that means. So does one that
    does not answer, as when a card has fallen off the bus: who asks is not kept waiting. And so does a machine that has
    no thread left to ask with.
    """
    return _ask(lambda: _read(_card(0), _family(own_pid)), patience_seconds=_PATIENCE_SECONDS)


def has_gpu() -> bool:
    """Whether the driver gives access to any GPU, also one that has no reading: those that share the machine's memory
    have none. For the start of a process: a driver that has to wake up its cards first is waited for."""
    return _ask(_finds_a_card, patience_seconds=_START_PATIENCE_SECONDS) is True


def _ask(question: Callable[[], _T], *, patience_seconds: float) -> _T | None:
    """The driver's answer, if there is one and it comes in time. While one has not come back no other is asked for: a
    call to a driver that hangs cannot be broken off."""
    if any(thread.is_alive() for thread in _hung):
        return None
    answers: list[_T | None] = []
    thread = Thread(target=lambda: answers.append(_ask_now(question)), name="nvml", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    thread.join(patience_seconds)
    _hung[:] = [thread] if thread.is_alive() else []
    return answers[0] if answers else None


def _ask_now(question: Callable[[], _T]) -> _T | None:
    try:
        with _nvml():
            return question()
    except pynvml.NVMLError:
        return None


def _card(index: int) -> object:
    return pynvml.nvmlDeviceGetHandleByIndex(index)


def _finds_a_card() -> bool:
    """Some may be lost, or another user's."""
    return any(_optional(_card, index) is not None for index in range(pynvml.nvmlDeviceGetCount()))


@contextmanager
def _nvml() -> Iterator[None]:
    pynvml.nvmlInit()
    try:
        yield
    finally:
        pynvml.nvmlShutdown()


def _read(device: object, own: Collection[int]) -> GpuSnapshot:
    memory = pynvml.nvmlDeviceGetMemoryInfo(device)
    processes = _optional(pynvml.nvmlDeviceGetComputeRunningProcesses, device)
    utilization = _optional(pynvml.nvmlDeviceGetUtilizationRates, device)
    power = _optional(pynvml.nvmlDeviceGetPowerUsage, device)
    name = pynvml.nvmlDeviceGetName(device)
    return GpuSnapshot(
        name=name.decode() if isinstance(name, bytes) else str(name),
        memory_used_bytes=int(memory.used),
        memory_total_bytes=int(memory.total),
        own_memory_bytes=_held_by(own, processes, memory),
        temperature_c=_optional(pynvml.nvmlDeviceGetTemperature, device, pynvml.NVML_TEMPERATURE_GPU),
        utilization_percent=utilization.gpu if utilization is not None else None,
        power_w=power / 1000 if power is not None else None,
        processes=len(processes) if processes is not None else None,
    )


def _held_by(own: Collection[int], processes: list[Any] | None, memory: Any) -> int | None:
    """Bytes that our processes hold; None when the driver hides the processes or their amounts.

    In a container it lists no process at all: then most of the card is held by nobody.
    """
    hidden = not processes and memory.used > memory.total / 2
    if processes is None or hidden or any(process.usedGpuMemory is None for process in processes):
        return None
    return sum(int(process.usedGpuMemory) for process in processes if process.pid in own)


def _optional(reading: Any, *arguments: object) -> Any:
    """Not every card tells everything: a passive one has no fan, a virtual one no power."""
    try:
        return reading(*arguments)
    except pynvml.NVMLError:
        return None


def _family(pid: int | None) -> set[int]:
    if pid is None:
        return set()
    try:
        process = psutil.Process(pid)
        return {pid, *(child.pid for child in process.children(recursive=True))}
    except psutil.NoSuchProcess:
        return set()
