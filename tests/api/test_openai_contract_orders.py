"""OpenAI's dialect, the JSON body that asks for a batch: what it may say, and what is refused with its name."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.errors import error_of
from tests.api.openai_dialect import create, created, lines_of, order, uploaded
from tests.api.served import Api

BELOW, ABOVE = 3599, 2_592_001


def lifetime(seconds: Any, anchor: str = "created_at") -> dict[str, Any]:
    return {"output_expires_after": {"anchor": anchor, "seconds": seconds}}


# What is asked for, and the code, the parameter and a part of the message of its refusal.
REFUSED: list[tuple[dict[str, Any], str, str, str]] = [
    ({"input_file_id": None}, "missing_required_parameter", "input_file_id", "Missing required parameter"),
    ({"input_file_id": 7}, "invalid_type", "input_file_id", "got int"),
    ({"input_file_id": ""}, "invalid_value", "input_file_id", "POST /v1/files"),
    ({"input_file_id": "f" * 257}, "invalid_value", "input_file_id", "1 to 256 printable"),
    ({"input_file_id": "file-\x00"}, "invalid_value", "input_file_id", "1 to 256 printable"),
    ({"endpoint": None}, "missing_required_parameter", "endpoint", "Missing required parameter"),
    ({"endpoint": "/v1/images/edits"}, "invalid_value", "endpoint", "got '/v1/images/edits'"),
    ({"endpoint": "/pause"}, "invalid_value", "endpoint", "/v1/chat/completions"),
    ({"completion_window": None}, "missing_required_parameter", "completion_window", "Missing required"),
    ({"completion_window": "48h"}, "invalid_value", "completion_window", "24h; got '48h'"),
    ({"completion_window": "1s"}, "invalid_value", "completion_window", "24h; got '1s'"),
    ({"completion_window": 24}, "invalid_type", "completion_window", "got int"),
    ({"metadata": {"tags": ["a"]}}, "invalid_type", "metadata.tags", "expected a string, got list"),
    ({"metadata": {"count": 3}}, "invalid_type", "metadata.count", "expected a string, got int"),
    ({"metadata": {"nothing": None}}, "invalid_type", "metadata.nothing", "expected a string, got NoneType"),
    ({"metadata": []}, "invalid_type", "metadata", "an object"),
    ({"metadata": {f"k{i}": "v" for i in range(17)}}, "invalid_type", "metadata", "17 pairs; 16"),
    ({"metadata": {"k" * 65: "v"}}, "invalid_type", f"metadata.{'k' * 65}", "a key of 65"),
    ({"metadata": {"k": "v" * 513}}, "invalid_type", "metadata.k", "a value of 513 characters"),
    (lifetime(BELOW), "invalid_value", "output_expires_after.seconds", "from 3600 to 2592000"),
    (lifetime(ABOVE), "invalid_value", "output_expires_after.seconds", "from 3600 to 2592000"),
    (lifetime("3600"), "invalid_value", "output_expires_after.seconds", "a whole number"),
    (lifetime(None), "invalid_value", "output_expires_after.seconds", "a whole number"),
    (lifetime(3600, "completed_at"), "invalid_value", "output_expires_after.anchor", "created_at"),
    ({"output_expires_after": 3600}, "invalid_value", "output_expires_after.anchor", "created_at"),
    ({"temperature": 1}, "unknown_parameter", "temperature", "Unknown parameter: 'temperature'"),
]


@pytest.mark.parametrize(("changes", "code", "param", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_bad_order_is_a_400_with_code_parameter_and_what_was_got(
    api: Api, changes: dict[str, Any], code: str, param: str, message: str
) -> None:
    error = error_of(api.post("/v1/batches", json={**order(f"file-{'0' * 24}"), **changes}), 400, code)

    assert (error["param"], error["type"]) == (param, "invalid_request_error")
    assert message in error["message"]
    assert api.has_stored_nothing()


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"{", "invalid_json"), (b"", "invalid_json"), (b"[" * 60_000, "invalid_json"), (b"[]", "invalid_type")],
    ids=["cut off", "empty", "too deep", "no object"],
)
def test_a_body_that_is_no_json_object_is_a_400(api: Api, body: bytes, code: str) -> None:
    answer = api.post("/v1/batches", content=body, headers={"content-type": "application/json"})
    assert error_of(answer, 400, code)["param"] is None
    assert api.has_stored_nothing()


@pytest.mark.parametrize(
    "metadata",
    [{}, {f"key-{i}": "x" for i in range(16)}, {"k" * 64: "v" * 512}, {"имя": ""}],
    ids=["empty", "16 pairs", "longest", "any script"],
)
def test_metadata_comes_back_as_it_was_given(api: Api, metadata: dict[str, str]) -> None:
    batch = created(api, metadata=metadata)
    assert batch["metadata"] == metadata
    assert api.batch(batch["id"])["metadata"] == metadata


def test_explicit_nulls_are_as_good_as_nothing(api: Api) -> None:
    batch = created(api, metadata=None, output_expires_after=None, priority=None)
    assert (batch["status"], batch["metadata"], batch["priority"]) == ("validating", None, 0)


def test_other_completion_windows_are_behind_a_setting(serve: Callable[..., Api]) -> None:
    api = serve(completion_windows="24h, 7d")
    batch = created(api, completion_window="7d")
    assert batch["expires_at"] == batch["created_at"] + 7 * 86400
    assert "24h, 7d" in error_of(create(api, "file-1", completion_window="48h"), 400)["message"]


@pytest.mark.parametrize("seconds", [BELOW + 1, ABOVE - 1])
def test_the_results_of_a_batch_expire_when_asked_to(api: Api, seconds: int) -> None:
    batch_id = created(api, **lifetime(seconds))["id"]
    api.work()

    file = api.get(f"/v1/files/{api.batch(batch_id)['output_file_id']}").json()

    assert file["expires_at"] == file["created_at"] + seconds
    assert len(lines_of(api, file["id"])) == 2


def test_two_batches_can_be_made_of_one_file(api: Api) -> None:
    file_id = uploaded(api)["id"]
    first, second = (create(api, file_id).json() for _ in range(2))
    assert first["id"] != second["id"]
    assert first["input_file_id"] == second["input_file_id"] == file_id
