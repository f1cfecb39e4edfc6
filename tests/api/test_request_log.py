"""What the API logs of a request: its id, whatever came of it, and nothing of what was asked."""

import asyncio
import logging
from collections.abc import Callable, Iterator

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from batch_app.api.request_log import RequestLog
from tests.api.served import Api
from tests.lines import chat_line

Logged = Callable[[], list[logging.LogRecord]]
SECRET = "the candidate's secret"


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[Logged]:
    with caplog.at_level(logging.INFO, logger="batch_app"):
        yield lambda: caplog.records


def test_a_refusal_is_logged_under_the_id_that_the_caller_got(api: Api, logged: Logged) -> None:
    answer = api.get("/v1/batches/nothing?text=the candidate's secret", headers={"x-request-id": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    [record] = [record for record in logged() if record.msg == "request_refused"]
    facts = vars(record)
    assert (facts["request_id"], facts["status_code"], facts["method"]) == ("mine-1", 404, "GET")
    assert facts["path"] == "/v1/batches/nothing"


def test_a_guards_refusal_is_logged_too(api: Api, logged: Logged) -> None:
    answer = api.get("/health", headers={"host": "elsewhere.example"})
    [record] = [record for record in logged() if record.msg == "request_refused"]
    assert (vars(record)["status_code"], vars(record)["request_id"]) == (403, answer.headers["x-request-id"])


def test_what_goes_well_is_logged_where_it_changes_something_and_nowhere_else(
    api: Api, logged: Logged
) -> None:
    api.get("/health")
    api.get("/readyz")
    batch_id = api.submit([chat_line("a", SECRET)], headers={"x-request-id": "mine-2"}).json()["batch_id"]
    assert [record.msg for record in logged()] == ["batch_accepted"]
    assert (vars(logged()[0])["batch_id"], vars(logged()[0])["request_id"]) == (batch_id, "mine-2")


def test_a_database_in_trouble_is_logged_without_what_was_to_be_written(api: Api, logged: Logged) -> None:
    with api.database.write() as connection:
        connection.exec_driver_sql("DROP TABLE requests")
    answer = api.submit([chat_line("their-custom-id", SECRET)])
    assert answer.status_code >= 500
    written = "\n".join(logging.Formatter().format(record) for record in logged())
    assert "request_failed" in written
    assert answer.headers["x-request-id"] in str([vars(record) for record in logged()])
    assert "their-custom-id" not in written + answer.text
    assert SECRET not in written


def test_the_text_of_a_database_error_has_no_values_in_it(api: Api) -> None:
    with pytest.raises(OperationalError) as failed, api.database.read() as connection:
        connection.execute(text("SELECT :value FROM nowhere"), {"value": SECRET})
    assert "nowhere" in str(failed.value)
    assert SECRET not in str(failed.value)


async def _answer(_scope: Scope, _receive: Receive, send: Send) -> None:
    await PlainTextResponse("late")(_scope, _receive, send)


@pytest.mark.parametrize(("limit", "actions"), [(0.0, ["request_slow"]), (60.0, [])])
def test_a_slow_answer_is_logged(limit: float, actions: list[str], logged: Logged) -> None:
    async def ask() -> None:
        transport = httpx.ASGITransport(RequestLog(_answer, slow_seconds=limit))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            await client.get("/v1/batches")

    asyncio.run(ask())
    assert [record.msg for record in logged()] == actions
