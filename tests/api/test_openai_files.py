"""/v1/files and the JSON form of batches where the `openai` package does not reach: expiry, deletion, odd bodies."""

import time
from pathlib import Path

import pytest

from batch_app.api import housekeeping
from tests.api.errors import error_of
from tests.api.served import Api
from tests.lines import chat_lines, jsonl

FILE = {"file": ("in.jsonl", jsonl(chat_lines(2)))}


def upload(api: Api, **fields: str) -> dict[str, object]:
    answer = api.post("/v1/files", files=FILE, data={"purpose": "batch", **fields})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def create(api: Api, file_id: object) -> dict[str, object]:
    order = {"input_file_id": file_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    answer = api.post("/v1/batches", json=order)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_an_expired_file_goes_with_its_bytes(api: Api) -> None:
    lifetime = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    file = upload(api, **lifetime)
    path = Path(api.settings.files_dir) / f"{file['id']}.jsonl"
    housekeeping.sweep(api.app.state.context, now=time.time() + 3590)
    assert path.exists()
    housekeeping.sweep(api.app.state.context, now=time.time() + 3610)
    assert not path.exists()
    error_of(api.get(f"/v1/files/{file['id']}"), 404, "not_found")


def test_a_file_that_a_waiting_batch_needs_is_neither_deleted_nor_expired(api: Api) -> None:
    file = upload(api, **{"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"})
    create(api, file["id"])
    answer = api.call("DELETE", f"/v1/files/{file['id']}")
    error_of(answer, 409, "file_in_use")
    housekeeping.sweep(api.app.state.context, now=time.time() + 10_000)
    assert api.get(f"/v1/files/{file['id']}").status_code == 200


def test_a_batch_whose_input_was_deleted_cannot_be_retried_and_says_so(api: Api) -> None:
    file = upload(api)
    batch = create(api, file["id"])
    api.call("POST", f"/v1/batches/{batch['id']}/cancel")
    api.work()
    assert api.call("DELETE", f"/v1/files/{file['id']}").status_code == 200
    error_of(api.call("POST", f"/v1/batches/{batch['id']}/retry"), 409, "input_file_deleted")


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"{", "invalid_json", None),
        (b"[]", "invalid_type", None),
        (b"[" * 60_000, "invalid_json", None),
        (b"{}", "missing_required_parameter", "input_file_id"),
        (b'{"input_file_id": 7}', "invalid_type", "input_file_id"),
        (
            b'{"input_file_id": "file-1", "endpoint": "/pause", "completion_window": "24h"}',
            "invalid_value",
            "endpoint",
        ),
    ],
)
def test_an_odd_body_is_a_400_that_names_what_is_wrong(
    api: Api, body: bytes, code: str, param: str | None
) -> None:
    answer = api.post("/v1/batches", content=body, headers={"content-type": "application/json"})
    assert error_of(answer, 400, code)["param"] == param
    assert api.has_stored_nothing()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "purpose"),
        ({"purpose": "fine-tune"}, "purpose"),
        ({"purpose": "batch", "expires_after[seconds]": "3600"}, "expires_after[anchor]"),
        (
            {"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": "5"},
            "expires_after[seconds]",
        ),
    ],
)
def test_an_odd_upload_is_a_400_that_names_the_field(api: Api, fields: dict[str, str], param: str) -> None:
    answer = api.post("/v1/files", files=FILE, data=fields)
    assert error_of(answer, 400)["param"] == param
    assert api.has_stored_nothing()


def test_the_operator_can_switch_expiry_off(serve: object) -> None:
    api = serve(expire_batches=False)  # type: ignore[operator]
    batch = create(api, upload(api)["id"])
    assert batch["completion_window"] == "24h"
    assert batch["expires_at"] is None


def test_a_batch_made_from_json_reads_validating_until_a_worker_takes_it(api: Api) -> None:
    batch = create(api, upload(api)["id"])
    assert api.get(f"/v1/batches/{batch['id']}").json()["status"] == "validating"
    assert [found["id"] for found in api.get("/v1/batches?status=validating").json()["data"]] == [batch["id"]]
