"""The settings, the models, the GPU and the engine: what the operator has chosen, and whether it can work."""

import importlib.util
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pynvml

from batch_app.errors import ConfigurationError
from batch_app.host.gpu import has_gpu, read_gpu
from batch_app.inference.engine import ModelLoadError
from batch_app.inference.vllm_arguments import is_local, require_folder
from batch_app.inference.vllm_build import is_for_cuda
from batch_app.models import load_models
from batch_app.settings import Settings
from scripts import kernels
from scripts.doctor.findings import Finding, bad, ok, size, warn

_TORCH_SECONDS = 180
_TORCH = "import torch; print(torch.__version__, torch.version.cuda, torch.cuda.is_available())"
_OLDEST_DRIVER = 580
_DEVICES = {
    Path("/dev"): "nvidia[0-9]*",
    Path("/proc/driver/nvidia/gpus"): "*",
}  # there though the driver is lost


def secrets_file(path: Path) -> Iterator[Finding]:
    if path.is_file() and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        yield warn("settings", f"{path} can be read by others", f"`chmod 600 {path}`")


def models(settings: Settings) -> Iterator[Finding]:
    try:
        found = load_models(settings.models_file, allow_unlisted=settings.allow_unlisted_models)
    except ConfigurationError as error:
        yield bad("models", str(error), "correct it: the API and the worker do not start without")
        return
    if not found.specs:
        yield warn("models", f"{settings.models_file} lists none", "see the comments in it")
    for spec in found.specs:
        try:
            if is_local(spec):
                require_folder(spec)
        except ModelLoadError as error:
            yield bad("models", f"{spec.name}: {error}", f"or take it out of {settings.models_file}")
        else:
            yield ok(
                "models", f"{spec.name}: {spec.source if is_local(spec) else 'from the hub when first used'}"
            )


def gpu(settings: Settings) -> Iterator[Finding]:
    reading = read_gpu()
    has_device = any(any(folder.glob(name)) for folder, name in _DEVICES.items())
    if reading is not None:
        text = (
            f"{reading.name}, {size(reading.memory_used_bytes)} of {size(reading.memory_total_bytes)} in use"
        )
        hot = reading.temperature_c is not None and reading.temperature_c > settings.gpu_max_temperature_c
        yield warn("gpu", f"{text}, {reading.temperature_c} °C", "see to the air") if hot else ok("gpu", text)
        yield from _driver()
    elif has_device:
        yield bad(
            "gpu", "there is one, and its driver does not answer", "`nvidia-smi`; then restart the machine"
        )
    elif settings.require_gpu:
        yield bad("gpu", "there is none, and BATCH_REQUIRE_GPU is set", "unset it, or see `nvidia-smi`")
    else:
        yield ok("gpu", "none" if is_for_cuda() else "none: the engine runs on the CPU")


def _driver() -> Iterator[Finding]:
    pynvml.nvmlInit()
    try:
        version = str(pynvml.nvmlSystemGetDriverVersion())
    finally:
        pynvml.nvmlShutdown()
    if int(version.partition(".")[0]) < _OLDEST_DRIVER:
        yield warn("gpu", f"driver {version}", f"this build of torch wants {_OLDEST_DRIVER} or newer")
    else:
        yield ok("gpu", f"driver {version}")


def engine(settings: Settings) -> Iterator[Finding]:
    if settings.engine == "echo":
        yield warn("engine", "BATCH_ENGINE=echo answers without a model", "unset it for real answers")
        return
    if importlib.util.find_spec("vllm") is None or importlib.util.find_spec("torch") is None:
        yield bad("engine", "vLLM or torch is not installed", "`make setup`")
        return
    try:
        ended = subprocess.run(
            [sys.executable, "-c", _TORCH],
            capture_output=True,
            text=True,
            timeout=_TORCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        advice = "a GPU that hangs does that: `nvidia-smi`, then restart the machine"
        yield bad("engine", f"torch takes over {_TORCH_SECONDS} s to look for a GPU", advice)
        return
    if ended.returncode != 0:
        last = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        yield bad("engine", f"torch cannot be imported: {last}", "`make clean setup`")
        return
    yield _build(*ended.stdout.split())


def _build(number: str, cuda: str, available: str) -> Finding:
    """What torch says of itself, held against this machine."""
    text = f"torch {number}" + (f" for CUDA {cuda}" if cuda != "None" else "")
    is_there = has_gpu()
    if is_for_cuda() and not is_there:
        advice = "`nvidia-smi`, or `VARIANT=cpu make setup`"
        return bad("engine", f"{text}, built for a GPU and none answers", advice)
    if is_there and available != "True":
        advice = "`make setup VARIANT=gpu`" if cuda == "None" else "update NVIDIA's driver"
        return bad("engine", f"{text} cannot use the GPU", advice)
    if cuda != "None" and (lacking := kernels.missing()):
        return warn("engine", f"{text}; {lacking}, which vLLM needs for its kernels", kernels.advice())
    return ok("engine", text)
