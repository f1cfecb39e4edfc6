"""A card whose driver says what a test wants it to."""

from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

GIB = 1024**3
READINGS = {
    "nvmlInit": None,
    "nvmlShutdown": None,
    "nvmlSystemGetDriverVersion": "580.95.05",
    "nvmlDeviceGetCount": 1,
    "nvmlDeviceGetHandleByIndex": "card",
    "nvmlDeviceGetName": "NVIDIA GeForce RTX 4080",
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(used=15 * GIB, total=16 * GIB),
    "nvmlDeviceGetComputeRunningProcesses": [],
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=70),
    "nvmlDeviceGetPowerUsage": 250_000,
    "nvmlDeviceGetTemperature": 60,
}


def script(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[str]:
    """What each call answers, or raises. Returns the list that calls are noted in."""
    calls: list[str] = []
    for name, reading in {**READINGS, **changes}.items():

        def call(*_: Any, name: str = name, reading: Any = reading) -> Any:
            calls.append(name)
            if isinstance(reading, Exception):
                raise reading
            return reading

        monkeypatch.setattr(pynvml, name, call)
    return calls
