"""Every answer is as the document says, and all that the document says can happen does, whatever is asked.

Calls are drawn from the document itself, fitting it and not; most get ids, files and words that exist.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, example, given, reject, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from batch_app.host.gpu import GpuSnapshot
from batch_app.settings import Settings
from tests.api.forms import HEADERS, file, form, text
from tests.api.furnished import CREATION, FAILING, NOBODY, Known, furnish, send_file
from tests.api.served import MODEL, Api, default_app
from tests.lines import chat_lines, jsonl
from tests.receiver import SECRET

CONFORMS = [
    status_code_conformance, content_type_conformance, response_schema_conformance, response_headers_conformance,
]  # fmt: skip
EXAMPLES, EXAMPLES_PER_PARAMETER = 8, 8
REFUSALS = {413, 415, 422, 429, 503}  # like 401, 403 and 500 they have tests of their own
NO_SUCH_MODEL = ("POST /v1/batches", 404)  # where the operator allows only listed ones
FILE = file(jsonl(chat_lines(1)))
NEEDED = {
    "batch": [f"batch_{digit * 24}" for digit in "01"],
    "column": "line",
    "field": "score",
}  # without these some calls are no calls
HOT = GpuSnapshot("H200", memory_used_bytes=0, memory_total_bytes=1, temperature_c=99.0)

Pairs = set[tuple[str, int]]


def operations(api: Api) -> dict[str, Any]:
    """By label, as `GET /v1/batches`."""
    document = schemathesis.openapi.from_dict(api.app.openapi())
    found = [operation.ok() for operation in document.get_all_operations()]
    return {operation.label: operation for operation in found}


def documented(api: Api) -> Pairs:
    """(label, status) of every answer that the document knows."""
    found = operations(api).items()
    return {(label, int(status)) for label, one in found for status in one.responses.status_codes}


@pytest.fixture
def world(tmp_path: Path, empty_database: Path) -> Callable[[str], tuple[Api, Known]]:
    """Makes copies of one furnished data folder: what one operation's calls change, no other's see."""

    def serve(folder: Path) -> Api:
        receiver = {"webhook_urls": "http://127.0.0.1:9", "webhook_secret": SECRET}
        limits = {"max_active_batches": 40, "retry_backoff_seconds": 0}
        return Api(Settings(data_dir=folder, engine="echo", **limits, **receiver), default_app())

    furnished = tmp_path / "furnished"
    furnished.mkdir()
    shutil.copy(empty_database, furnished / empty_database.name)
    api = serve(furnished)
    known = furnish(api)
    api.close()

    def copy(name: str) -> tuple[Api, Known]:
        api = serve(shutil.copytree(furnished, tmp_path / name))
        api.register_worker()
        return api, known

    return copy


@st.composite
def cases(draw: st.DrawFn, operation: Any, known: Known) -> Any:
    """A call of the document, with something known in most places that take it."""
    case = draw(operation.as_strategy(draw(st.sampled_from(GenerationMode))))
    for part in (case.path_parameters, case.query, case.headers, case.body):
        for name in list(part) if isinstance(part, MutableMapping) else []:
            if name.lower() in known and draw(st.integers(0, 7)):
                part[name] = draw(st.sampled_from(known[name.lower()]))
    return case


def send(api: Api, case: Any) -> httpx.Response:
    call = requests.Request(**case.as_transport_kwargs(base_url="http://localhost:4080")).prepare()
    headers = {k: v.encode("latin-1") if isinstance(v, str) else v for k, v in call.headers.items()}
    return api.call(case.method, str(call.url), content=call.body, headers=headers)


def complaints(case: Any, answer: httpx.Response) -> list[str]:
    """What about the answer is not as the document has it."""
    answer.request.read()  # what a refusal left unread
    try:
        case.validate_response(answer, checks=CONFORMS)
    except FailureGroup as failures:
        return [str(failures)]
    return []


def examples(operation: Any) -> settings:
    count = EXAMPLES + EXAMPLES_PER_PARAMETER * len(list(operation.iter_parameters()))
    return settings(
        max_examples=count + 2 * EXAMPLES_PER_PARAMETER * len(operation.body),
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # what an answer is depends on the calls before: there is nothing to shrink
        suppress_health_check=list(HealthCheck),
    )


def plain_cases(operation: Any, known: Known) -> list[Any]:
    """Each known id with nothing else; the first one with each known header, with each value of a query that it needs,
    and with the smallest bodies."""
    path = {parameter.name: known[parameter.name][0] for parameter in operation.path_parameters}
    needed = [parameter.name for parameter in operation.query if parameter.is_required]
    query = {name: known[name][0] for name in needed}
    headers = [{one.name: value} for one in operation.headers for value in known.get(one.name, [])]
    plain = [operation.Case(path_parameters=path, query=query, headers=each) for each in ({}, *headers)]
    plain += [
        operation.Case(path_parameters={**path, name: each}, query=query)
        for name in path
        for each in known[name]
    ]
    plain += [
        operation.Case(path_parameters=path, query={name: each}) for name in needed for each in known[name]
    ]
    for kind, content in operation.definition.raw.get("requestBody", {}).get("content", {}).items():
        body = {name: known[name][0] for name in content["schema"]["required"]}
        plain.append(operation.Case(path_parameters=path, body=body, media_type=kind))
    return plain


def is_certain(label: str, status: int) -> bool:
    """Whether the plain cases see to it. Other failures are up to what is drawn."""
    return status < 400 or (status == 404 and ("{" in label or "compare" in label))


def calls(api: Api, operation: Any, known: Known) -> list[tuple[Any, httpx.Response]]:
    """Each with its answer: the plain ones, then drawn ones."""
    made = [(case, send(api, case)) for case in plain_cases(operation, known)]

    @examples(operation)
    @given(case=cases(operation, known))
    def call(case: Any) -> None:
        try:
            made.append((case, send(api, case)))
        except httpx.InvalidURL:  # longer than any client sends
            reject()

    call()
    return made


def test_every_answer_is_as_the_document_says(api: Api, world: Callable[[str], tuple[Api, Known]]) -> None:
    seen: Pairs = set()
    accepted, lists, filled = set(), set(), set()
    wrong: list[str] = []
    for label, operation in operations(api).items():
        served, known = world(operation.definition.raw["operationId"])
        for case, answer in calls(served, operation, known):
            seen.add((label, answer.status_code))
            accepted |= {(label, case.media_type)} if answer.status_code == 200 else set()
            lists |= {label} if answer.content.startswith(b'{"object":"list"') else set()
            filled |= {label} if answer.content.startswith(b'{"object":"list","data":[{') else set()
            wrong += complaints(case, answer)
        served.close()

    assert wrong == [], "\n".join(wrong[:10])
    assert [pair for pair in seen if pair[1] >= 500] == []
    assert {pair for pair in documented(api) - seen if is_certain(*pair)} == set()
    assert filled == lists != set(), "a list that is always empty shows nothing"
    assert accepted >= {
        ("POST /v1/batches", "multipart/form-data"), ("POST /v1/batches", "application/json"),
        ("POST /v1/files", "multipart/form-data"),
    }  # fmt: skip


def mangled(good: bytes) -> st.SearchStrategy[bytes]:
    """The same bytes with a piece of them replaced."""
    places = st.integers(0, len(good))
    return st.builds(
        lambda start, length, new: good[:start] + new + good[start + length :],
        places,
        st.integers(0, 20) | places,
        st.binary(max_size=8)
        | st.sampled_from([b"\r\n", b"--", b'"', b"\x00", b"[" * 300, b"1e999", b"\xed\xa0\x80"]),
    )


@pytest.mark.parametrize(
    ("label", "content_type", "body"),
    [
        (
            "POST /v1/batches",
            HEADERS["content-type"],
            form(FILE, text("model", MODEL), text("metadata", "{}"))["content"],
        ),
        (
            "POST /v1/batches",
            "application/json",
            json.dumps({**CREATION, "input_file_id": NOBODY["file_id"]}).encode(),
        ),
        ("POST /v1/files", HEADERS["content-type"], form(text("purpose", "batch"), FILE)["content"]),
    ],
)
def test_a_mangled_body_is_answered_as_the_document_says(
    serve: Callable[..., Api], label: str, content_type: str, body: bytes
) -> None:
    api = serve(max_active_batches=1000)
    operation = operations(api)[label]
    method, path = label.split()
    statuses = Counter[int]()

    @settings(max_examples=60, derandomize=True, deadline=None, database=None)
    @given(sent=mangled(body))
    @example(sent=body)
    def call(sent: bytes) -> None:
        answer = api.call(method, path, content=sent, headers={"content-type": content_type})
        statuses[answer.status_code] += 1
        assert complaints(operation.Case(), answer) == []

    call()
    assert statuses.keys() == {200, 400}


def test_whoever_may_not_call_is_answered_as_the_document_says(serve: Callable[..., Api]) -> None:
    api = serve(api_key="secret")
    key = {"authorization": "Bearer secret"}
    seen: Pairs = set()
    for label, operation in operations(api).items():
        case = operation.Case(path_parameters=NOBODY)
        for headers in ({}, {**key, "host": "evil.example"}):
            answer = api.call(case.method, case.formatted_path, headers=headers)
            assert complaints(case, answer) == []
            seen.add((label, answer.status_code))
    assert seen == {pair for pair in documented(api) if pair[1] in {401, 403}} | {("GET /livez", 200)}


def test_a_crash_is_answered_as_the_document_says(api: Api) -> None:
    api.app.state.context = None
    seen: Pairs = set()
    for label, operation in operations(api).items():
        case = operation.Case(path_parameters=NOBODY)
        answer = api.call(case.method, case.formatted_path, params=NEEDED, **form(FILE))
        assert complaints(case, answer) == []
        seen.add((label, answer.status_code))
    assert seen == {pair for pair in documented(api) if pair[1] == 500} | {("GET /livez", 200)}


def refusals(api: Api) -> dict[tuple[str, int], httpx.Response]:
    """Of a server that has no worker, little room, few models, and then a hot GPU."""
    submit, upload, retry = "POST /v1/batches", "POST /v1/files", "POST /v1/batches/{batch_id}/retry"
    seen = {
        ("GET /readyz", 503): api.get("/readyz"),
        (submit, 404): api.submit(model="nobody/knows-it"),
        (submit, 413): api.submit(b" " * 5000),
    }
    parent = api.finished(FAILING)
    assert api.submit(1, headers={"idempotency-key": "key-1"}).status_code == 200
    seen |= {
        (submit, 415): api.post("/v1/batches", content=b"{}"),
        (submit, 422): api.submit(2, headers={"idempotency-key": "key-1"}),
        (submit, 429): api.submit(),
        (retry, 422): api.post(f"/v1/batches/{parent}/retry", headers={"idempotency-key": "key-1"}),
        (retry, 429): api.post(f"/v1/batches/{parent}/retry"),
        (upload, 413): api.post("/v1/files", files={"file": b" " * 5000}),
        (upload, 415): api.post(
            "/v1/files", content=b"{}", headers={"content-type": "multipart/form-database"}
        ),
        (upload, 422): [send_file(api, lines, "key-2") for lines in (chat_lines(1), chat_lines(2))][-1],
    }
    api.gpu.reading = HOT
    return {**seen, (submit, 503): api.submit(), (retry, 503): api.post(f"/v1/batches/{parent}/retry")}


def test_every_refusal_of_work_is_answered_as_the_document_says(serve: Callable[..., Api]) -> None:
    api = serve(max_active_batches=1, max_file_bytes=4000, allow_unlisted_models=False)
    known = operations(api)

    seen = refusals(api)

    assert {pair: answer.status_code for pair, answer in seen.items()} == {pair: pair[1] for pair in seen}
    for (label, status), answer in seen.items():
        assert complaints(known[label].Case(path_parameters=NOBODY), answer) == []
        assert ("retry-after" in answer.headers) == (status in {429, 503} and label != "GET /readyz")
    assert seen.keys() == {pair for pair in documented(api) if pair[1] in REFUSALS} | {NO_SUCH_MODEL}
