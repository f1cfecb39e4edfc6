"""`make test` runs every test, and fails if any part of it does."""

import pytest

from batch_app.settings import PROJECT_DIR
from tests.__main__ import verdict
from tests.layers import ALONE, ASIDE, IN_FRONT, LAYERS


def test_every_folder_of_tests_is_run_once() -> None:
    folders = {path.parent.name for path in (PROJECT_DIR / "tests").glob("*/test_*.py")}
    assert folders == set(LAYERS)
    assert sorted([*ASIDE, *IN_FRONT, *ALONE]) == sorted(LAYERS)


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        ([0, 0, 0], 0),
        ([0, 5, 0], 0),  # 5: no test has what was asked for
        ([5, 5, 5], 5),
        ([0, 1, 0], 1),
        ([0, 0, -9], 9),  # killed
        ([2, 1, 5], 2),
    ],
)
def test_one_part_that_fails_fails_all(statuses: list[int], status: int) -> None:
    assert verdict(statuses) == status
