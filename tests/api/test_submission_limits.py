"""What does not fit is refused before it costs anything, with the limit and what to do in the message."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from tests.api.errors import bad_lines, error_of
from tests.api.forms import HEADERS, file, form, text
from tests.api.served import MODEL, Api
from tests.lines import chat_line, chat_lines, jsonl

LINES = jsonl(chat_lines(2))
KIB = 1024


class Upload:
    """A form sent piece by piece without a Content-Length; knows how much of it was taken."""

    def __init__(self, pieces: int) -> None:
        self.taken = 0
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        opened = form(text("model", MODEL), file(b"{"))["content"]
        yield opened[: opened.index(b"{")]
        for _ in range(self._pieces):
            self.taken += KIB
            yield b"x" * KIB


def test_a_file_of_exactly_the_limit_is_accepted_and_one_byte_more_is_not(serve: Callable[..., Api]) -> None:
    api = serve(max_file_bytes=len(LINES))

    assert api.submit(LINES).status_code == 200
    error = error_of(api.submit(LINES + b"\n"), 413, "file_too_large")
    assert f"{len(LINES)} bytes" in error["message"]
    assert error["param"] == "file"


def test_a_file_over_the_limit_leaves_nothing(serve: Callable[..., Api]) -> None:
    api = serve(max_file_bytes=1000)
    error_of(api.submit(1000), 413, "file_too_large")
    assert api.has_stored_nothing()


def test_a_declared_size_over_the_limit_is_refused_unread(serve: Callable[..., Api]) -> None:
    api, upload = serve(max_file_bytes=1000), Upload(pieces=10_000)
    headers = {**HEADERS, "content-length": str(10_000 * KIB)}

    error_of(api.post("/v1/batches", content=upload, headers=headers), 413, "file_too_large")

    assert upload.taken == 0


def test_an_undeclared_size_is_refused_at_the_limit(serve: Callable[..., Api]) -> None:
    api, upload = serve(max_file_bytes=100 * KIB), Upload(pieces=10_000)

    answer = api.post("/v1/batches", content=upload, headers=HEADERS)

    error_of(answer, 413, "file_too_large")
    assert answer.headers["connection"] == "close"
    assert upload.taken <= (100 + 128) * KIB
    assert api.has_stored_nothing()


def test_too_many_requests_name_the_limit(serve: Callable[..., Api]) -> None:
    api = serve(max_requests_per_batch=10)

    assert api.submit(10).status_code == 200
    error = error_of(api.submit(11), 400, "too_many_requests_in_file")
    assert "11" in error["message"]
    assert "10" in error["message"]
    assert api.stored()["batches"] == 1


def test_a_line_over_the_limit_is_reported_and_the_others_are_checked(serve: Callable[..., Api]) -> None:
    longest = len(jsonl([chat_line("exact", "x" * 500)]).rstrip())
    api = serve(max_line_bytes=longest)
    lines = [
        chat_line("exact", "x" * 500),
        chat_line("over", "x" * 502),
        b"x" * 100_000,
        b"oops",
        chat_line("y"),
    ]

    assert bad_lines(api.submit(lines)) == [
        (2, None, "line_too_long"),
        (3, None, "line_too_long"),
        (4, None, "invalid_json_line"),
    ]
    assert api.has_stored_nothing()
    assert api.submit(lines[:1]).status_code == 200


def is_told_to_wait(answer: httpx.Response) -> bool:
    return 0 < int(answer.headers["retry-after"]) <= 120


def test_one_batch_too_many_is_told_to_wait(serve: Callable[..., Api]) -> None:
    api = serve(max_active_batches=2)
    api.accepted(1), api.accepted(1)
    before = api.stored()

    answer = api.submit(1)

    assert "2 batches" in error_of(answer, 429, "queue_full")["message"]
    assert is_told_to_wait(answer)
    assert api.stored() == before


def test_one_request_too_many_is_told_to_wait(serve: Callable[..., Api]) -> None:
    api = serve(max_queued_requests=5)
    api.accepted(3)
    before = api.stored()

    answer = api.submit(3)

    assert "5" in error_of(answer, 429, "queue_full")["message"]
    assert is_told_to_wait(answer)
    assert api.stored() == before
    assert api.submit(2).status_code == 200


def test_room_comes_back_as_requests_are_answered(serve: Callable[..., Api]) -> None:
    api = serve(max_queued_requests=5)
    api.accepted(5)
    api.work(answers=2)

    assert api.submit(3).status_code == 429
    assert api.submit(2).status_code == 200


@pytest.mark.parametrize("end", ["completed", "cancelled"])
def test_a_batch_that_ended_makes_room(serve: Callable[..., Api], end: str) -> None:
    api = serve(max_active_batches=1)
    batch_id = api.accepted(1)
    assert api.submit(1).status_code == 429
    if end == "cancelled":
        api.delete(f"/v1/batches/{batch_id}")
    else:
        api.work()
    assert api.submit(1).status_code == 200


def test_many_senders_at_once_keep_to_the_limit_of_requests(serve: Callable[..., Api]) -> None:
    api = serve(max_active_batches=100, max_queued_requests=10)
    three = {"files": {"file": jsonl(chat_lines(3))}}

    statuses = [answer.status_code for answer in api.together([("POST", "/v1/batches", three)] * 20)]

    assert (statuses.count(200), statuses.count(429)) == (3, 17)
    stored = api.stored()
    assert (stored["batches"], stored["requests"], len(stored["paths"])) == (3, 9, 3)


def test_health_says_that_the_queue_is_full(serve: Callable[..., Api]) -> None:
    api = serve(max_active_batches=1)
    api.accepted(1)

    queue = api.get("/health").json()["queue"]

    assert queue["accepting"] is False
    assert "1 of 1 batches" in queue["reason"]
