"""The API describes itself, offline. That the description is true is `test_api_schema`'s to show."""

import re
from typing import Any

import pytest

from batch_app.api.multipart_form import BATCH_FIELDS, FILE_FIELDS
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
        "GET /health", "GET /livez", "GET /readyz", "GET /metrics", "POST /v1/files", "GET /v1/files",
        "DELETE /v1/files/{file_id}", "HEAD /v1/files/{file_id}/content", "HEAD /v1/batches/{batch_id}/results",
    }  # fmt: skip


def bodies(api: Api, path: str) -> Any:
    """Schemas of what can be sent there, by content type."""
    content = api.get("/openapi.json").json()["paths"][path]["post"]["requestBody"]["content"]
    return {kind: body["schema"] for kind, body in content.items()}


def test_the_forms_are_described_field_by_field(api: Api) -> None:
    submit, upload = bodies(api, "/v1/batches"), bodies(api, "/v1/files")
    assert submit.keys() == {"multipart/form-data", "application/json"}
    form, creation, file = *submit.values(), upload["multipart/form-data"]
    assert form["properties"].keys() == BATCH_FIELDS
    assert form["required"] == ["file"]
    assert creation["required"] == ["input_file_id", "endpoint", "completion_window"]
    assert file["properties"].keys() == FILE_FIELDS
    assert file["required"] == ["file", "purpose"]


def test_the_document_knows_one_shape_of_error(api: Api) -> None:
    document = api.get("/openapi.json").json()

    assert "HTTPValidationError" not in str(document)
    shapes = {
        str(answer.get("content"))
        for item in document["paths"].values()
        for operation in item.values()
        for status, answer in operation["responses"].items()
        if status >= "400" and operation["operationId"] != "get_readyz_readyz_get"
    }
    assert len(shapes) == 1
    assert "ErrorEnvelope" in shapes.pop()


def test_the_document_says_who_needs_a_key(api: Api) -> None:
    document = api.get("/openapi.json").json()

    [scheme] = document["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert document["security"]
    free = [
        path
        for path, item in document["paths"].items()
        if any(one.get("security") == [] for one in item.values())
    ]
    assert free == ["/livez"]


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
