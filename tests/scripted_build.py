"""A vLLM that is installed as a test wants it to be: what tells its build, before the real one on the path."""

from pathlib import Path

import pytest

CUDA, CPU = "0.32.0", "0.32.0+cpu"


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, number: str) -> None:
    """This version of the distribution `vllm`, as pip would leave it behind in `folder`."""
    information = folder / f"vllm-{number}.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {number}\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delenv("VLLM_TARGET_DEVICE", raising=False)
