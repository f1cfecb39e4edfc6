"""Versions below these have holes that this project's own tests do not cover."""

import re
from importlib.metadata import version

import pytest

from batch_app.settings import PROJECT_DIR

FLOORS = {"python-multipart": (0, 0, 27), "starlette": (0, 49, 1)}


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in re.findall(r"\d+", text)[:3])


@pytest.mark.parametrize(("package", "floor"), FLOORS.items())
def test_the_forms_and_downloads_are_read_by_versions_without_known_holes(
    package: str, floor: tuple[int, ...]
) -> None:
    """`python-multipart`: attacks by malformed parts; `starlette`: by Range headers."""
    pins = [
        found[1]
        for name in ("requirements-base.txt", "requirements-lock.txt")
        for found in re.finditer(rf"^{package}==(\S+)", (PROJECT_DIR / name).read_text(), re.MULTILINE)
    ]
    assert len(pins) == 2
    assert min(map(numbers, [*pins, version(package)])) >= floor
