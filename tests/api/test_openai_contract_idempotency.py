"""Idempotency-Key on uploads and on batches made of them: the same key and body, the same answer."""

from typing import Any

import httpx
import pytest

from tests.api.errors import error_of
from tests.api.openai_dialect import create, upload, uploaded
from tests.api.served import Api

LIFETIME = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
KEY = {"Idempotency-Key": "nightly-2025-10-29"}


def keyed(api: Api, file_id: str, **changes: Any) -> httpx.Response:
    return create(api, file_id, headers=KEY, **changes)


def test_the_same_key_and_body_get_the_same_answer_and_one_batch(api: Api) -> None:
    file_id = uploaded(api)["id"]
    first = keyed(api, file_id, metadata={"a": "b"})
    before = api.stored()

    again = keyed(api, file_id, metadata={"a": "b"})

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    assert api.stored() == before


def test_the_answer_is_the_same_whatever_has_become_of_batch_and_file(api: Api) -> None:
    file_id = uploaded(api)["id"]
    first = keyed(api, file_id).json()
    api.work()
    again = keyed(api, file_id).json()
    assert again.pop("progress").keys() == first.pop("progress").keys()  # what is true now
    assert again == first
    assert api.delete(f"/v1/files/{file_id}").status_code == 200
    assert keyed(api, file_id).json()["id"] == first["id"]


def test_the_same_key_and_unknown_file_get_the_same_failed_batch(api: Api) -> None:
    unknown = f"file-{'0' * 24}"
    assert keyed(api, unknown).json() == keyed(api, unknown).json()
    assert api.stored()["batches"] == 1


@pytest.mark.parametrize(
    "changes", [{"endpoint": "/v1/completions"}, {"metadata": {"a": "b"}}, {"priority": 1}], ids=str
)
def test_the_same_key_with_another_body_is_refused(api: Api, changes: dict[str, Any]) -> None:
    file_id = uploaded(api)["id"]
    keyed(api, file_id)
    before = api.stored()

    error = error_of(keyed(api, file_id, **changes), 422, "idempotency_key_reused")

    assert error["param"] == "idempotency-key"
    assert api.stored() == before


def test_the_same_key_with_another_file_is_refused(api: Api) -> None:
    keyed(api, uploaded(api, 2)["id"])
    for lines in (2, 3):  # whether it has the same lines or not
        error_of(keyed(api, uploaded(api, lines)["id"]), 422, "idempotency_key_reused")


@pytest.mark.parametrize(("age", "is_known"), [(86_300, True), (86_401, False)])
def test_a_key_is_kept_for_a_day(api: Api, age: int, *, is_known: bool) -> None:
    file_id = uploaded(api)["id"]
    first = keyed(api, file_id).json()["id"]
    with api.database.write() as connection:
        connection.exec_driver_sql("UPDATE batches SET created_at = created_at - ?", (age,))

    assert (keyed(api, file_id).json()["id"] == first) is is_known


def test_the_same_upload_again_is_the_same_file(api: Api) -> None:
    first = upload(api, headers=KEY)
    before = api.stored()
    again = upload(api, headers=KEY)
    assert (again.status_code, again.json()) == (200, first.json())
    assert api.stored() == before


@pytest.mark.parametrize("changes", [{"content": 3}, {"filename": "other.jsonl"}, LIFETIME], ids=str)
def test_another_upload_under_the_same_key_is_refused(api: Api, changes: dict[str, Any]) -> None:
    upload(api, headers=KEY)
    before = api.stored()
    error_of(upload(api, headers=KEY, **changes), 422, "idempotency_key_reused")
    assert api.stored() == before


def test_a_deleted_file_has_lost_its_key(api: Api) -> None:
    first = upload(api, headers=KEY).json()["id"]
    api.delete(f"/v1/files/{first}")
    again = upload(api, 3, headers=KEY).json()["id"]
    assert again != first
    assert api.get(f"/v1/files/{again}/content").status_code == 200


def test_a_file_and_a_batch_may_have_the_same_key(api: Api) -> None:
    file_id = upload(api, headers=KEY).json()["id"]
    assert keyed(api, file_id).status_code == 200
