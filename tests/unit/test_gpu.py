"""Reading the GPU through a scripted driver, and the guard that accepts or refuses work by the reading."""

import os
import time
from collections.abc import Callable
from functools import partial
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from batch_app.host import gpu
from batch_app.host.gpu import GpuLimits, GpuSnapshot, RefusalCause, gpu_refusal, has_gpu, read_gpu
from tests.no_thread import no_thread
from tests.scripted_gpu import GIB, script
from tests.waiting import wait_until

LIMITS = GpuLimits(max_memory_percent=95, max_temperature_c=85, require_gpu=False)
NOT_SUPPORTED = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
Script = Callable[..., list[str]]


def holder(pid: int, held: int | None) -> SimpleNamespace:
    return SimpleNamespace(pid=pid, usedGpuMemory=held)


def snapshot(**fields: Any) -> GpuSnapshot:
    defaults = {"memory_used_bytes": 0, "memory_total_bytes": 16 * GIB, "own_memory_bytes": 0}
    return GpuSnapshot(**{"name": "RTX 4080", **defaults, **fields})


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Script:
    return partial(script, monkeypatch)


def test_a_reading_has_everything_the_driver_tells(driver: Script) -> None:
    driver(nvmlDeviceGetComputeRunningProcesses=[holder(1, GIB)])
    assert read_gpu() == GpuSnapshot(
        name="NVIDIA GeForce RTX 4080",
        memory_used_bytes=15 * GIB,
        memory_total_bytes=16 * GIB,
        own_memory_bytes=0,
        temperature_c=60,
        utilization_percent=70,
        power_w=250.0,
        processes=1,
    )


@pytest.mark.parametrize(
    "failing", ["nvmlInit", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetName"]
)
def test_no_driver_or_one_in_trouble_reads_as_no_gpu(driver: Script, failing: str) -> None:
    calls = driver(**{failing: pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)})
    assert read_gpu() is None
    assert ("nvmlShutdown" in calls) == (failing != "nvmlInit")


def test_a_driver_that_does_not_answer_keeps_nobody_waiting(
    driver: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card that has fallen off the bus."""
    monkeypatch.setattr(gpu, "_PATIENCE_SECONDS", 0.05)
    answers, calls = Event(), driver()
    monkeypatch.setattr(pynvml, "nvmlDeviceGetTemperature", lambda *_: answers.wait() and 60)
    assert [read_gpu(), read_gpu(), read_gpu()] == [None, None, None]
    assert calls.count("nvmlInit") == 1, "no more calls pile up behind the one that hangs"
    answers.set()
    wait_until(lambda: read_gpu() is not None, what="a reading")


def test_a_machine_that_has_no_thread_left_reads_as_no_gpu_until_it_has(
    driver: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver()
    with monkeypatch.context() as patched:
        patched.setattr(Thread, "start", no_thread)
        assert read_gpu() is None
    assert read_gpu() is not None


def test_a_gpu_is_there_when_any_can_be_had_whether_it_can_be_read_or_not(
    driver: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    def second_only(index: int) -> str:
        if index != 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NO_PERMISSION)
        return "card"

    driver(nvmlDeviceGetMemoryInfo=NOT_SUPPORTED, nvmlDeviceGetCount=2)
    assert (has_gpu(), read_gpu()) == (True, None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", second_only)
    assert has_gpu()
    driver(nvmlDeviceGetHandleByIndex=pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST))
    assert not has_gpu()
    driver(nvmlInit=pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED))
    assert not has_gpu()


def test_a_driver_that_wakes_up_its_cards_is_waited_for_at_the_start(
    driver: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "_PATIENCE_SECONDS", 0.0)
    driver()
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: time.sleep(0.1) or 1)
    assert has_gpu()


def test_what_a_card_does_not_tell_is_unknown_and_not_zero(driver: Script) -> None:
    driver(
        nvmlDeviceGetUtilizationRates=NOT_SUPPORTED,
        nvmlDeviceGetPowerUsage=NOT_SUPPORTED,
        nvmlDeviceGetTemperature=NOT_SUPPORTED,
    )
    reading = read_gpu()
    assert reading is not None
    assert (reading.utilization_percent, reading.power_w, reading.temperature_c) == (None, None, None)


def test_memory_of_the_worker_and_of_its_children_is_its_own(driver: Script) -> None:
    mine, parent, foreign = os.getpid(), os.getppid(), 2**22 + 1
    driver(nvmlDeviceGetComputeRunningProcesses=[holder(mine, 3), holder(parent, 4), holder(foreign, 100)])
    readings = [read_gpu(own_pid=pid) for pid in (parent, mine, None)]
    assert [reading and reading.own_memory_bytes for reading in readings] == [7, 3, 0]


def test_a_worker_that_is_gone_holds_nothing(driver: Script) -> None:
    driver(nvmlDeviceGetComputeRunningProcesses=[holder(1, 100)])
    reading = read_gpu(own_pid=2**22 + 1)
    assert reading is not None
    assert reading.own_memory_bytes == 0


@pytest.mark.parametrize(
    "processes",
    [[holder(1, None)], NOT_SUPPORTED, []],
    ids=["amounts hidden", "holders hidden", "none told in a container"],
)
def test_where_the_driver_hides_who_holds_memory_nobody_is_taken_to(driver: Script, processes: Any) -> None:
    driver(nvmlDeviceGetComputeRunningProcesses=processes)
    reading = read_gpu(own_pid=os.getpid())
    assert reading is not None
    assert reading.own_memory_bytes is None


def test_an_idle_card_is_held_by_nobody(driver: Script) -> None:
    driver(nvmlDeviceGetMemoryInfo=SimpleNamespace(used=1 * GIB, total=16 * GIB))
    reading = read_gpu(own_pid=os.getpid())
    assert reading is not None
    assert reading.own_memory_bytes == 0


@pytest.mark.parametrize(
    ("reading", "worker_loaded"),
    [
        (snapshot(), False),
        (snapshot(memory_used_bytes=15 * GIB), False),
        (snapshot(memory_used_bytes=16 * GIB, own_memory_bytes=15 * GIB), True),
        (snapshot(memory_used_bytes=16 * GIB, own_memory_bytes=None), True),
        (snapshot(temperature_c=85.0), False),
        (snapshot(temperature_c=None), False),
        (None, False),
    ],
    ids=["idle", "below 95 %", "own", "hidden and loaded", "at the limit", "no thermometer", "no GPU"],
)
def test_a_gpu_fit_for_work_is_accepted(reading: GpuSnapshot | None, *, worker_loaded: bool) -> None:
    assert gpu_refusal(reading, LIMITS, worker_loaded=worker_loaded) is None


@pytest.mark.parametrize(
    ("reading", "worker_loaded", "told"),
    [
        (snapshot(memory_used_bytes=16 * GIB), False, "100 % of the GPU's memory, the limit is 95 %"),
        (snapshot(memory_used_bytes=16 * GIB), True, "other programs"),
        (snapshot(memory_used_bytes=16 * GIB, own_memory_bytes=None), False, "other programs"),
        (snapshot(temperature_c=85.5), True, "the limit is 85 °C"),
    ],
)
def test_a_gpu_unfit_for_work_is_refused_with_the_reading(
    reading: GpuSnapshot, told: str, *, worker_loaded: bool
) -> None:
    refusal = gpu_refusal(reading, LIMITS, worker_loaded=worker_loaded)
    assert refusal is not None
    assert told in refusal.message
    assert refusal.cause is (RefusalCause.TOO_HOT if "°C" in told else RefusalCause.MEMORY_FULL)


def test_no_gpu_is_refused_only_where_one_is_required() -> None:
    required = GpuLimits(95, 85, require_gpu=True)
    refusal = gpu_refusal(None, required, worker_loaded=False)
    assert refusal is not None
    assert "BATCH_REQUIRE_GPU" in refusal.message
    assert refusal.cause is RefusalCause.NO_GPU
