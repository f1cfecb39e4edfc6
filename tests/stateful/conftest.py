from collections.abc import Iterator

import pytest

from tests.stateful.world import quick_and_quiet


@pytest.fixture(autouse=True)
def _quick_and_quiet() -> Iterator[None]:
    with quick_and_quiet():
        yield
