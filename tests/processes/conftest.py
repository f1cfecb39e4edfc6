"""Fixtures of the tests that start the real processes."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.processes.forked import ForkedSystem, Nursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with closing(Nursery()) as nursery:
        yield nursery


@pytest.fixture
def forked_system(nursery: Nursery, tmp_path: Path) -> Iterator[ForkedSystem]:
    """As `system`, for tests that start many processes."""
    running = ForkedSystem(tmp_path / "data", nursery=nursery)
    yield running
    running.stop_all()
