"""The API describes itself, offline, and holds what it describes under random calls."""

import re
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.served import Api

ELSEWHERE = re.compile(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", re.IGNORECASE)


def test_the_pages_of_the_document_are_served_by_this_machine(api: Api) -> None:
    page = api.get("/docs")

    assert page.status_code == 200
    assert ELSEWHERE.findall(page.text) == []
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert assets
    for asset in assets:
        answer = api.get(asset)
        assert answer.status_code == 200
        assert answer.content


def test_the_document_names_every_call_and_no_other_host(api: Api) -> None:
    answer = api.get("/openapi.json")

    assert ELSEWHERE.findall(answer.text) == []
    calls = {f"{method.upper()} {path}" for path, item in answer.json()["paths"].items() for method in item}
    assert calls >= {
        "POST /v1/batches", "GET /v1/batches", "GET /v1/batches/{batch_id}", "DELETE /v1/batches/{batch_id}",
        "POST /v1/batches/{batch_id}/cancel", "POST /v1/batches/{batch_id}/retry",
        "GET /v1/batches/{batch_id}/results", "GET /v1/batches/{batch_id}/errors",
        "GET /v1/batches/{batch_id}/dead_letters", "GET /v1/batches/{batch_id}/requests",
        "GET /v1/files/{file_id}", "GET /v1/files/{file_id}/content", "GET /v1/models", "GET /v1/samples",
        "GET /health", "GET /livez", "GET /readyz", "GET /metrics",
    }  # fmt: skip


def test_the_form_is_described_field_by_field(api: Api) -> None:
    form = api.get("/openapi.json").json()["paths"]["/v1/batches"]["post"]["requestBody"]["content"]
    schema = form["multipart/form-data"]["schema"]
    assert schema["properties"].keys() == {"file", "model", "priority", "metadata", "completion_window"}
    assert schema["required"] == ["file"]


def reading_calls(api: Api) -> list[Any]:
    """Every GET of the document."""
    document = schemathesis.openapi.from_dict(api.app.openapi())
    operations = [found.ok() for found in document.get_all_operations()]
    return [operation for operation in operations if operation.method == "get"]


def test_no_reading_call_crashes_whatever_it_is_asked(api: Api) -> None:
    batch_id = api.finished()
    operations = reading_calls(api)
    assert len(operations) > 10

    @settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=st.one_of([operation.as_strategy() for operation in operations]), known=st.booleans())
    def call(*, case: Any, known: bool) -> None:
        if known and "batch_id" in case.path_parameters:
            case.path_parameters["batch_id"] = batch_id
        answer = api.get(case.formatted_path, params=case.query)
        assert answer.status_code < 500 or (case.path, answer.status_code) == ("/readyz", 503), answer.text
        if answer.status_code >= 400 and case.path.startswith("/v1/"):
            assert list(answer.json()) == ["error"]

    call()


@pytest.mark.parametrize(
    "query",
    [
        "after=%00",
        "after=%ff%fe",
        "status=%00&status=",
        "limit=1&limit=2",
        "after=" + "x" * 5000,
        "limit=%f0%9f%99%82",
    ],
)
def test_odd_queries_are_no_crash(api: Api, query: str) -> None:
    for path in ("/v1/batches", f"/v1/batches/{api.accepted(1)}/requests"):
        assert api.get(f"{path}?{query}").status_code < 500
