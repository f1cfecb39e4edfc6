"""Ids are unique, and nothing else than an id is ever taken for one."""

import pytest

from batch_app import ids

HEX = "0123456789abcdef01234567"


def test_new_ids_match_their_own_pattern_and_differ() -> None:
    assert ids.BATCH_ID.fullmatch(ids.new_batch_id())
    assert ids.FILE_ID.fullmatch(ids.new_file_id())
    for new_id in (ids.new_batch_id, ids.new_file_id, ids.new_worker_id):
        assert len({new_id() for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize(
    "hostile",
    ["..", "../" + HEX, HEX + "/..", HEX + "\n", "\n" + HEX, HEX.upper(), HEX[:-1], HEX + "0", "%2e" * 8, ""],
)
def test_nothing_that_could_leave_its_folder_is_an_id(hostile: str) -> None:
    assert not ids.BATCH_ID.fullmatch(f"batch_{hostile}")
    assert not ids.FILE_ID.fullmatch(f"file-{hostile}")


def test_an_id_of_one_kind_is_not_one_of_another() -> None:
    assert not ids.FILE_ID.fullmatch(ids.new_batch_id())
    assert not ids.BATCH_ID.fullmatch(ids.new_file_id())


def test_the_engines_name_for_a_request_is_made_of_batch_and_line_only() -> None:
    assert ids.request_id("batch_a", 7) == "batch_a-7"
