"""Fixtures of the tests that start nothing.

Properties are tried on a fixed set of examples, the same on every machine: a failure is never a surprise.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("unit", deadline=None, database=None, derandomize=True)
settings.load_profile("unit")


@pytest.fixture
def deeds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to files, in order: `sync NAME` and `rename NAME`."""
    done: list[str] = []

    def noting(word: str, act: Callable[..., Any], name: Callable[[Any], str]) -> Callable[..., Any]:
        def noted(target: Any, *arguments: Any) -> Any:
            done.append(f"{word} {name(target)}")
            return act(target, *arguments)

        return noted

    def opened(descriptor: int) -> str:
        return Path(f"/proc/self/fd/{descriptor}").resolve().name

    monkeypatch.setattr(os, "fsync", noting("sync", os.fsync, opened))
    monkeypatch.setattr(os, "fdatasync", noting("sync", os.fdatasync, opened))
    monkeypatch.setattr(Path, "rename", noting("rename", Path.rename, lambda path: path.name))
    return done
