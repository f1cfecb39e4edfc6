"""Cancelling, in every state and through both doors."""

import pytest

from tests.api.errors import error_of
from tests.api.served import Api
from tests.api.states import batch_in

DOORS = [("DELETE", ""), ("POST", "/cancel")]


@pytest.mark.parametrize(("method", "path"), DOORS)
@pytest.mark.parametrize("status", ["pending", "in_progress", "cancelling"])
def test_an_open_batch_is_cancelling_at_once(api: Api, method: str, path: str, status: str) -> None:
    batch_id = batch_in(api, status)

    answer = api.call(method, f"/v1/batches/{batch_id}{path}")

    assert answer.status_code == 200
    batch = answer.json()
    assert (batch["id"], batch["status"]) == (batch_id, "cancelling")
    assert type(batch["cancelling_at"]) is int
    assert batch["cancelled_at"] is None


def test_cancelling_a_cancelled_batch_changes_nothing(api: Api) -> None:
    batch_id = batch_in(api, "cancelled")
    before = api.batch(batch_id)

    for method, path in DOORS:
        answer = api.call(method, f"/v1/batches/{batch_id}{path}")
        assert (answer.status_code, answer.json()) == (200, before)


def test_cancelling_twice_keeps_the_first_moment(api: Api) -> None:
    batch_id = batch_in(api, "cancelling")
    with api.database.write() as connection:
        connection.exec_driver_sql("UPDATE batches SET cancelling_at = 1790000000")
    assert api.delete(f"/v1/batches/{batch_id}").json()["cancelling_at"] == 1790000000


@pytest.mark.parametrize("status", ["completed", "failed", "expired"])
def test_a_batch_that_has_ended_cannot_be_cancelled_and_clients_are_told_not_to_retry(
    api: Api, status: str
) -> None:
    batch_id = batch_in(api, status)
    before = api.batch(batch_id)

    for method, path in DOORS:
        answer = api.call(method, f"/v1/batches/{batch_id}{path}")
        assert status in error_of(answer, 409)["message"]
        assert answer.headers["x-should-retry"] == "false"
    assert api.batch(batch_id) == before


def test_a_batch_that_is_being_published_is_no_longer_cancelled(api: Api) -> None:
    batch_id = batch_in(api, "finalizing")
    answer = api.delete(f"/v1/batches/{batch_id}")
    error_of(answer, 409)
    assert answer.headers["x-should-retry"] == "false"


def test_an_unknown_batch_is_not_found(api: Api) -> None:
    for method, path in DOORS:
        error = error_of(api.call(method, f"/v1/batches/batch_{'0' * 24}{path}"), 404, "not_found")
        assert "No batch found" in error["message"]
