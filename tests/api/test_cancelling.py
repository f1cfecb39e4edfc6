"""Cancelling, in every state and through both doors."""

import json
from typing import Any

import pytest

from tests.api.errors import error_of
from tests.api.served import Api
from tests.api.states import batch_in

DOORS = [("DELETE", ""), ("POST", "/cancel")]


def lines_of(api: Api, file_id: str) -> list[Any]:
    return [json.loads(line) for line in api.get(f"/v1/files/{file_id}/content").content.splitlines()]


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


def test_answers_there_are_stay_and_the_others_are_told_why_not(api: Api) -> None:
    batch = api.batch(batch_in(api, "cancelled", requests=4))

    done, undone = lines_of(api, batch["output_file_id"]), lines_of(api, batch["error_file_id"])

    assert [line["custom_id"] for line in done] == ["candidate-0"]
    assert [line["custom_id"] for line in undone] == ["candidate-1", "candidate-2", "candidate-3"]
    assert {(line["response"], line["error"]["code"]) for line in undone} == {(None, "batch_cancelled")}
    assert batch["request_counts"] == {"total": 4, "completed": 1, "failed": 0}
    assert batch["progress"]["cancelled"] == 3


def test_a_batch_that_never_ran_has_only_errors(api: Api) -> None:
    batch_id = api.accepted(3)
    api.delete(f"/v1/batches/{batch_id}")
    api.work()

    batch = api.batch(batch_id)

    assert (batch["status"], batch["output_file_id"]) == ("cancelled", None)
    assert len(lines_of(api, batch["error_file_id"])) == 3


def test_unanswered_requests_of_an_expired_batch_say_so(api: Api) -> None:
    batch = api.batch(batch_in(api, "expired"))

    assert [line["custom_id"] for line in lines_of(api, batch["output_file_id"])] == ["candidate-0"]
    undone = lines_of(api, batch["error_file_id"])
    assert [line["custom_id"] for line in undone] == ["candidate-1", "candidate-2"]
    assert {(line["response"], line["error"]["code"]) for line in undone} == {(None, "batch_expired")}
    assert batch["progress"]["expired"] == 2
