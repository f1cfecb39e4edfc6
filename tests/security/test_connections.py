"""Connections that only wait, or say too much before they ask: real sockets on a real server."""

import asyncio
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, ClassVar

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

import serve_results
from batch_app import api_server
from batch_app.api.connections import Connection, allow_many_connections
from batch_app.settings import Settings
from tests.waiting import wait_until

HEAD = b"GET / HTTP/1.1\r\nhost: localhost\r\n"


class Impatient(Connection):
    head_seconds: ClassVar[float] = 0.5


async def slow_answers(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body, and takes twice as long to answer as a head may take."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await asyncio.sleep(2 * Impatient.head_seconds)
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(scope="module")
def connect() -> Iterator[Callable[[], socket.socket]]:
    config = uvicorn.Config(slow_answers, http=Impatient, ws="none", lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        wait_until(lambda: server.started, what="the server to start")
        yield lambda: socket.create_connection(listener.getsockname(), timeout=60)
        server.should_exit = True
        thread.join()


def said_until_closed(connection: socket.socket) -> bytes:
    """All that the server says; returns when it closes, and fails when it does not."""
    said = b""
    try:
        while piece := connection.recv(65536):
            said += piece
    except ConnectionResetError:
        pass
    return said


def answer_on(connection: socket.socket) -> bytes:
    answer = b""
    while not answer.endswith(b"ok"):
        piece = connection.recv(65536)
        assert piece, f"closed after {answer!r}"
        answer += piece
    return answer


@pytest.mark.parametrize("sent", [b"", b"G", HEAD, HEAD + b"x-slow: a\r\n", b"\r\n"])
def test_who_sends_no_whole_head_is_not_waited_for(connect: Callable[[], socket.socket], sent: bytes) -> None:
    with closing(connect()) as connection:
        connection.sendall(sent)
        assert said_until_closed(connection) == b""


def test_a_head_without_end_is_cut_off(connect: Callable[[], socket.socket]) -> None:
    with closing(connect()) as connection:
        connection.sendall(HEAD)
        line = b"x-header: " + b"a" * 4000 + b"\r\n"
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(line * 10_000)
        assert b"200" not in said_until_closed(connection)


@pytest.mark.parametrize(
    ("begun", "endless"),
    [
        (b"0\r\nx-trailer: ", b"a" * 4096),
        (b"0\r\n", b"x-trailer: " + b"a" * 4096 + b"\r\n"),
        (b"1\r\na\r\n1;extension=", b"a" * 4096),
    ],
    ids=["one trailer", "many trailers", "chunk extension"],
)
def test_what_is_no_part_of_a_body_is_cut_off_behind_it_too(
    connect: Callable[[], socket.socket], begun: bytes, endless: bytes
) -> None:
    with closing(connect()) as connection:
        head = b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
        connection.sendall(head + begun)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(endless * 10_000)


def test_a_body_of_any_length_in_chunks_of_any_size_is_read(connect: Callable[[], socket.socket]) -> None:
    with closing(connect()) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
        for size in (1, 100_000, 3_000_000):
            connection.sendall(b"%x\r\n%s\r\n" % (size, b"a" * size))
        connection.sendall(b"0\r\n\r\n")
        assert answer_on(connection).startswith(b"HTTP/1.1 200")


def test_idle_talk_between_two_requests_is_not_waited_for(connect: Callable[[], socket.socket]) -> None:
    with closing(connect()) as connection:
        connection.sendall(HEAD + b"\r\n")
        assert answer_on(connection).startswith(b"HTTP/1.1 200")
        connection.sendall(b"\r\n")
        assert said_until_closed(connection) == b""


def test_slow_bodies_slow_answers_and_second_requests_are_waited_for(
    connect: Callable[[], socket.socket],
) -> None:
    with closing(connect()) as connection:
        for _ in range(2):
            connection.sendall(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n\r\n")
            for piece in b"abc":
                threading.Event().wait(Impatient.head_seconds / 2)
                connection.sendall(bytes([piece]))
            assert answer_on(connection).startswith(b"HTTP/1.1 200")


def test_both_servers_have_such_connections(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, Any]] = []
    monkeypatch.setenv("BATCH_DATA_DIR", str(settings.data_dir))
    monkeypatch.setattr("sys.argv", ["api_server"])
    monkeypatch.setattr(api_server, "require_free_port", lambda _host, _port: None)
    monkeypatch.setattr(api_server, "allow_many_connections", lambda: None)
    monkeypatch.setattr(api_server.uvicorn, "run", lambda _app, **options: given.append(options))
    api_server.main()

    def configured(_app: Any, **options: Any) -> None:
        given.append(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(serve_results.uvicorn, "Config", configured)
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(KeyboardInterrupt):
        serve_results._serve(slow_answers, listener)

    assert [(options["http"], options["ws"]) for options in given] == [(Connection, "none")] * 2


def test_a_process_takes_as_many_descriptors_as_it_may_have() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        allow_many_connections()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert soft == min(65_536, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
