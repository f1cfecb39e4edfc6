"""GET /v1/batches: newest first, in pages, with filters and counts."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.errors import error_of
from tests.api.served import Api
from tests.api.states import batch_in


def listed(api: Api, **params: Any) -> dict[str, Any]:
    answer = api.get("/v1/batches", params=params)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def ids(page: dict[str, Any]) -> list[str]:
    return [batch["id"] for batch in page["data"]]


def test_an_empty_list_has_every_key(api: Api) -> None:
    page = listed(api)

    assert page.keys() == {"object", "data", "first_id", "last_id", "has_more", "counts"}
    assert (page["object"], page["data"], page["has_more"]) == ("list", [], False)
    assert page["first_id"] is None
    assert page["last_id"] is None
    assert set(page["counts"].values()) == {0}


def test_pages_add_up_to_everything_newest_first(api: Api) -> None:
    made = [api.accepted(1) for _ in range(5)]

    first = listed(api, limit=2)
    second = listed(api, limit=2, after=first["last_id"])
    third = listed(api, limit=2, after=second["last_id"])

    assert ids(first) + ids(second) + ids(third) == made[::-1]
    assert [page["has_more"] for page in (first, second, third)] == [True, True, False]
    assert (first["first_id"], first["last_id"]) == (made[4], made[3])


def test_a_page_that_ends_with_the_list_has_no_more(api: Api) -> None:
    for _ in range(2):
        api.accepted(1)
    assert listed(api, limit=2)["has_more"] is False


def test_batches_of_the_same_moment_are_neither_repeated_nor_left_out(api: Api) -> None:
    made = {api.accepted(1) for _ in range(4)}
    with api.database.write() as connection:
        connection.exec_driver_sql("UPDATE batches SET created_at = 1790000000")

    first = listed(api, limit=3)

    assert {*ids(first), *ids(listed(api, limit=3, after=first["last_id"]))} == made


def test_twenty_are_listed_unless_told_otherwise(serve: Callable[..., Api]) -> None:
    api = serve(max_active_batches=100)
    for _ in range(21):
        api.accepted(1)

    page = listed(api)

    assert (len(page["data"]), page["has_more"]) == (20, True)
    assert len(listed(api, limit=100)["data"]) == 21


@pytest.mark.parametrize(
    "status", ["pending", "in_progress", "completed", "failed", "cancelling", "cancelled"]
)
def test_a_status_lists_only_its_batches(api: Api, status: str) -> None:
    wanted = batch_in(api, status)
    if status != "pending":
        api.accepted(1)

    assert ids(listed(api, status=status)) == [wanted]


def test_several_statuses_are_listed_together(api: Api) -> None:
    cancelled, completed = batch_in(api, "cancelled"), batch_in(api, "completed")
    api.accepted(1)

    assert ids(listed(api, status=["completed", "cancelled"])) == [completed, cancelled]


def test_active_means_every_open_batch(api: Api) -> None:
    batch_in(api, "completed")
    open_ids = [batch_in(api, status) for status in ("in_progress", "cancelling", "pending")]

    assert ids(listed(api, status="active")) == open_ids[::-1]


def test_validating_and_pending_are_the_same_batches_in_two_dialects(api: Api) -> None:
    batch_id = api.accepted(1)
    assert ids(listed(api, status="validating")) == ids(listed(api, status="pending")) == [batch_id]


def test_a_filter_holds_over_pages(api: Api) -> None:
    wanted = [batch_in(api, "completed") for _ in range(3)]
    api.accepted(1)

    first = listed(api, status="completed", limit=2)

    assert ids(first) == wanted[:0:-1]
    assert ids(listed(api, status="completed", limit=2, after=first["last_id"])) == wanted[:1]


def test_counts_are_of_all_batches_whatever_is_listed(api: Api) -> None:
    for status in ("completed", "failed", "cancelled", "expired", "in_progress", "cancelling", "pending"):
        batch_in(api, status)

    counts = listed(api, status="failed", limit=1)["counts"]

    assert counts == {
        "active": 3, "queued": 1, "in_progress": 1, "finalizing": 0, "completed": 1, "failed": 1,
        "expired": 1, "cancelling": 1, "cancelled": 1, "all": 7,
    }  # fmt: skip


def test_an_unknown_status_names_those_there_are(api: Api) -> None:
    error = error_of(api.get("/v1/batches?status=done"), 400, "invalid_value")
    assert error["param"] == "status"
    assert "in_progress" in error["message"]


def test_a_limit_outside_1_to_100_is_refused(api: Api) -> None:
    for limit in ("0", "101", "-1", "many", "1e9"):
        assert error_of(api.get(f"/v1/batches?limit={limit}"), 400)["param"] == "limit"


def test_a_page_after_an_unknown_batch_is_not_found(api: Api) -> None:
    for after in ("batch_" + "0" * 24, "../../etc/passwd", "%00", "'"):
        error_of(api.get(f"/v1/batches?after={after}"), 404, "not_found")


def test_a_list_that_is_there_already_is_not_sent_again(api: Api) -> None:
    api.finished(2)
    first = api.get("/v1/batches")
    etag = first.headers["etag"]
    same = api.get("/v1/batches", headers={"if-none-match": etag})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    assert same.headers["x-request-id"]
    api.accepted(1)
    other = api.get("/v1/batches", headers={"if-none-match": etag})
    assert (other.status_code, other.headers["etag"] == etag) == (200, False)


def test_errors_and_downloads_keep_their_own_tags(api: Api) -> None:
    assert "etag" not in api.get("/v1/batches/batch_nobody").headers
    content = f"/v1/files/{api.batch(api.finished(1))['output_file_id']}/content"
    assert not api.get(content).headers["etag"].startswith("W/")
