"""One request to a web application in this process, and what its answers become."""

import asyncio
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from batch_app.inference.asgi_exchange import Exchange
from batch_app.inference.engine import EngineAnswer, EngineRequest


async def _echo(request: Request) -> Response:
    return JSONResponse({"id": request.headers["x-request-id"], "body": await request.json()})


async def _refuse(_: Request) -> Response:
    return JSONResponse({"error": {"message": "no", "type": "a", "param": None, "code": 422}}, 422)


async def _refuse_oddly(_: Request) -> Response:
    return PlainTextResponse("busy", 503)


async def _stream(_: Request) -> Response:
    return PlainTextResponse("data: {}")


async def _break(_: Request) -> Response:
    raise RuntimeError("a secret")


async def _wait(request: Request) -> Response:
    await request.body()
    message = await request.receive()
    return JSONResponse({"received": message["type"]})


APPLICATION = FastAPI(
    routes=[
        Route(f"/{name}", endpoint, methods=["POST"])
        for name, endpoint in {
            "echo": _echo,
            "refuse": _refuse,
            "refuse_oddly": _refuse_oddly,
            "stream": _stream,
            "break": _break,
            "wait": _wait,
        }.items()
    ]
)


def _ask(url: str) -> EngineAnswer:
    return asyncio.run(Exchange(EngineRequest("r-1", url, b'{"a": 1}')).carry_out(APPLICATION))


def _error(answer: EngineAnswer) -> tuple[int, Any]:
    body = orjson.loads(answer.body)
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return answer.status_code, body["error"]["message"]


def test_the_request_and_its_id_arrive_and_the_answer_comes_back() -> None:
    answer = _ask("/echo")
    assert (answer.status_code, orjson.loads(answer.body)) == (200, {"id": "r-1", "body": {"a": 1}})


@pytest.mark.parametrize(
    ("url", "status", "message"),
    [
        ("/refuse", 422, "no"),
        ("/refuse_oddly", 503, "busy"),
        ("/nowhere", 404, "this model does not serve /nowhere"),
        (
            "/stream",
            400,
            "the endpoint did not answer with one JSON object; a batch cannot stream or ask for binary output",
        ),
        ("/break", 500, "Internal Server Error"),
    ],
)
def test_whatever_is_not_an_answer_becomes_one_error_shape(url: str, status: int, message: str) -> None:
    assert _error(_ask(url)) == (status, message)


def test_hanging_up_tells_the_application_that_the_client_is_gone() -> None:
    async def hang_up() -> EngineAnswer:
        exchange = Exchange(EngineRequest("r-1", "/wait", b"{}"))
        call = asyncio.create_task(exchange.carry_out(APPLICATION))
        await asyncio.sleep(0)
        assert not call.done()
        exchange.hang_up()
        return await call

    assert orjson.loads(asyncio.run(hang_up()).body) == {"received": "http.disconnect"}


def test_an_application_that_answers_nothing_raises_what_it_raised() -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("nothing")

    with pytest.raises(RuntimeError, match="nothing"):
        asyncio.run(Exchange(EngineRequest("r-1", "/", b"{}")).carry_out(broken))
