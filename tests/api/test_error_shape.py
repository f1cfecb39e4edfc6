"""One error shape, whatever goes wrong, with a request id to find it in the log."""

import asyncio
import logging
import re

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from tests.api.errors import error_of
from tests.api.served import Api

PAGE = {"origin": "http://localhost:8001"}
ODD_IDS = [
    "..%2f..%2fetc%2fpasswd", "..%5c..%5cbatch.db", "batch_..", "batch_%00", "a.b", "x" * 300, "' OR 1=1 --",
    "batch_" + "0" * 24, "batch_" + "G" * 24, "file-" + "0" * 24, "batch_" + "0" * 24 + "%0a",
]  # fmt: skip


class Crash:
    """A part of the machine that is broken in a way nobody foresaw."""

    def __call__(self, *, own_pid: int | None = None) -> None:
        raise RuntimeError("the secret inside")


@pytest.fixture
def crashing(api: Api) -> Api:
    api.app.state.context.submissions._read_gpu = Crash()
    return api


def test_an_unknown_path_is_told_where_to_look(api: Api) -> None:
    error = error_of(api.get("/v1/nothing"), 404, "not_found")
    assert "/v1/nothing" in error["message"]
    assert "/docs" in error["message"]


@pytest.mark.parametrize(("method", "path"), [("PUT", "/v1/batches"), ("DELETE", "/health")])
def test_a_method_that_is_not_possible_says_so(api: Api, method: str, path: str) -> None:
    answer = api.call(method, path)
    assert method in error_of(answer, 405, "method_not_allowed")["message"]
    assert answer.headers["allow"]


def test_a_bad_parameter_is_a_400_with_its_name(api: Api) -> None:
    error = error_of(api.get("/v1/batches?limit=many"), 400)
    assert (error["param"], error["type"]) == ("limit", "invalid_request_error")


def test_an_id_that_is_none_is_not_found(api: Api) -> None:
    paths = [f"/v1/batches/{{}}{part}" for part in ("", "/results", "/errors", "/requests", "/dead_letters")]
    paths += ["/v1/files/{}", "/v1/files/{}/content"]
    calls = [path.format(odd) for path in paths for odd in ODD_IDS]

    answers = {call: api.get(call) for call in calls}

    assert {call: answer.status_code for call, answer in answers.items()} == dict.fromkeys(calls, 404)
    for answer in answers.values():
        error_of(answer, 404, "not_found")


def test_a_crash_tells_nothing_but_its_request_id(crashing: Api) -> None:
    answer = crashing.get("/health")

    error = error_of(answer, 500, "internal_error")
    assert error["type"] == "server_error"
    assert answer.headers["x-request-id"] in error["message"]
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


def test_a_crash_is_in_the_log_under_its_request_id(crashing: Api, caplog: pytest.LogCaptureFixture) -> None:
    crashing.get("/health", headers={"x-request-id": "mine-1"})

    [record] = [record for record in caplog.records if record.message == "request_crashed"]
    assert (vars(record)["request_id"], record.levelno) == ("mine-1", logging.ERROR)
    assert record.exc_info is not None


def test_a_page_of_ours_can_read_a_crash(crashing: Api) -> None:
    answer = crashing.get("/health", headers=PAGE)
    assert answer.status_code == 500
    assert answer.headers["access-control-allow-origin"] == PAGE["origin"]


def test_a_crash_while_accepting_leaves_nothing_behind(api: Api) -> None:
    with api.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE requests RENAME TO elsewhere")

    error = error_of(api.submit(), 500, "internal_error")

    assert "requests" not in error["message"]
    with api.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO requests")
    assert api.has_stored_nothing()


def test_the_api_goes_on_after_a_crash(api: Api) -> None:
    with api.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE samples RENAME TO elsewhere")
    error_of(api.get("/v1/samples"), 500)
    assert api.submit().status_code == 200


def test_every_answer_has_a_request_id_of_its_own(api: Api) -> None:
    ids = [
        api.get(path).headers["x-request-id"] for path in ("/livez", "/health", "/v1/batches", "/v1/nothing")
    ]
    assert len(set(ids)) == 4
    assert all(re.fullmatch(r"req_[0-9a-f]+", request_id) for request_id in ids)


def test_a_request_id_that_is_given_comes_back(api: Api) -> None:
    for path in ("/health", "/v1/nothing", "/v1/batches?limit=0"):
        assert api.get(path, headers={"x-request-id": "web-app-42"}).headers["x-request-id"] == "web-app-42"


def test_a_request_id_that_would_spoil_a_log_is_replaced(api: Api) -> None:
    for given in (b"x" * 129, b"two words", b"b\xc3\xa4d", b""):
        assert api.get("/livez", headers={"x-request-id": given}).headers["x-request-id"].startswith("req_")


def test_accepting_and_cancelling_are_logged_with_ids_and_without_prompts(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="batch_app")
    headers = {"x-request-id": "web-app-42"}
    batch_id = api.submit(headers=headers).json()["batch_id"]
    api.delete(f"/v1/batches/{batch_id}", headers=headers)

    ours = {
        record.message: vars(record) for record in caplog.records if record.name.startswith("batch_app.api")
    }
    for action in ("batch_accepted", "batch_cancel_requested"):
        assert (ours[action]["batch_id"], ours[action]["request_id"]) == (batch_id, "web-app-42")
    assert "Evaluate" not in str([vars(record) for record in caplog.records])


@pytest.mark.parametrize(
    ("kind", "begun"),
    [("application/json", b'{"input_file_id": '), ("multipart/form-data; boundary=b", b"--b\r\n")],
)
def test_a_connection_that_ends_within_its_request_is_no_crash_of_ours(
    api: Api, caplog: pytest.LogCaptureFixture, kind: str, begun: bytes
) -> None:
    messages = iter([{"type": "http.request", "body": begun, "more_body": True}, {"type": "http.disconnect"}])

    async def cut_off(scope: Scope, _receive: Receive, send: Send) -> None:
        async def receive() -> Message:
            return next(messages)

        await api.app(scope, receive, send)

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(cut_off, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:4080") as client:
            return await client.post("/v1/batches", headers={"content-type": kind})

    error_of(asyncio.run(post()), 400, "upload_interrupted")
    assert "request_crashed" not in caplog.text
    assert api.has_stored_nothing()
