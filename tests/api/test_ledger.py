"""What became of each request: rows, error groups, dead letters."""

from typing import Any

import pytest

from tests.api.errors import error_of
from tests.api.served import Api
from tests.api.states import batch_in
from tests.lines import chat_line, chat_lines

LINES = [
    *chat_lines(4),
    chat_line("bad-1", "[[fail 400]]"),
    chat_line("bad-2", "[[fail 400]]"),
    chat_line("broken", "[[fail 503]]"),
    chat_line("flaky", "[[flaky 1]] one two"),
]
ROW = {
    "line", "custom_id", "status", "attempts", "status_code", "finish_reason", "error_code", "input_tokens",
    "output_tokens", "started_at", "finished_at",
}  # fmt: skip
LETTER = {
    "line", "custom_id", "code", "message", "attempts", "first_failed_at", "last_failed_at", "retried_by_batch_id",
}  # fmt: skip


@pytest.fixture
def batch_id(api: Api) -> str:
    """A finished batch of LINES."""
    return api.finished(LINES)


def rows(api: Api, batch_id: str, **params: Any) -> dict[str, Any]:
    answer = api.get(f"/v1/batches/{batch_id}/requests", params=params)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def names(page: dict[str, Any]) -> list[str]:
    return [row["custom_id"] for row in page["data"]]


def test_each_request_has_a_row_in_the_order_of_the_file(api: Api, batch_id: str) -> None:
    page = rows(api, batch_id)

    assert page.keys() == {"object", "data", "has_more", "next_after", "total"}
    assert (page["object"], page["has_more"], page["total"]) == ("list", False, 8)
    assert names(page) == [line["custom_id"] for line in LINES]
    assert [row["line"] for row in page["data"]] == list(range(1, 9))
    assert all(row.keys() == ROW for row in page["data"])


def test_a_row_tells_how_its_request_went(api: Api, batch_id: str) -> None:
    by_name = {row["custom_id"]: row for row in rows(api, batch_id)["data"]}

    told = ("status", "attempts", "status_code", "finish_reason", "input_tokens", "output_tokens")
    assert [by_name["candidate-0"][name] for name in told] == ["completed", 1, 200, "stop", 3, 3]
    assert [by_name["bad-1"][name] for name in told] == ["failed", 1, 400, None, 0, 0]
    assert [by_name["broken"][name] for name in told] == ["failed", 3, 503, None, 0, 0]
    assert [by_name["flaky"][name] for name in told[:3]] == ["completed", 2, 200]
    assert by_name["bad-1"]["error_code"] == "BadRequestError"
    assert by_name["bad-1"]["started_at"] <= by_name["bad-1"]["finished_at"]


def test_a_waiting_request_has_nulls_where_nothing_is_known(api: Api) -> None:
    [row] = rows(api, api.accepted(1))["data"]
    unknown = ("status_code", "finish_reason", "error_code", "started_at", "finished_at")
    assert all(row[name] is None for name in unknown)
    assert (row["status"], row["attempts"]) == ("pending", 0)


def test_pages_add_up_to_all_rows(api: Api, batch_id: str) -> None:
    pages = [rows(api, batch_id, limit=3)]
    while pages[-1]["has_more"]:
        pages.append(rows(api, batch_id, limit=3, after=pages[-1]["data"][-1]["line"]))

    assert [name for page in pages for name in names(page)] == [line["custom_id"] for line in LINES]
    assert [len(page["data"]) for page in pages] == [3, 3, 2]
    assert {page["total"] for page in pages} == {8}


def test_rows_are_filtered(api: Api, batch_id: str) -> None:
    filters: list[tuple[dict[str, str], list[str]]] = [
        ({"status": "failed"}, ["bad-1", "bad-2", "broken"]),
        ({"status": "completed", "custom_id": "fl"}, ["flaky"]),
        ({"status": "pending"}, []),
        ({"code": "BadRequestError"}, ["bad-1", "bad-2"]),
        ({"custom_id": "bad-"}, ["bad-1", "bad-2"]),
        ({"custom_id": "BAD-"}, []),
        ({"custom_id": "%"}, []),
        ({"custom_id": "b_d"}, []),
        ({"custom_id": "' OR 1=1 --"}, []),
    ]
    for wanted, found in filters:
        page = rows(api, batch_id, **wanted)
        assert (names(page), page["total"]) == (found, len(found))


def test_a_filter_holds_over_pages(api: Api, batch_id: str) -> None:
    first = rows(api, batch_id, status="failed", limit=1)
    assert (names(first), first["has_more"], first["total"]) == (["bad-1"], True, 3)
    assert names(rows(api, batch_id, status="failed", limit=1, after=first["data"][0]["line"])) == ["bad-2"]


def test_a_filter_that_makes_no_sense_is_refused(api: Api) -> None:
    batch_id = api.accepted(1)
    for query in ("status=done", "limit=0", "limit=1001", "after=x", "after=-1", f"custom_id={'x' * 513}"):
        error = error_of(api.get(f"/v1/batches/{batch_id}/requests?{query}"), 400)
        assert error["param"] == query.partition("=")[0]


def test_errors_are_grouped_by_code_the_most_frequent_first(api: Api, batch_id: str) -> None:
    groups = api.get(f"/v1/batches/{batch_id}/errors").json()

    assert (groups["object"], groups["total"]) == ("list", 3)
    assert [(group["code"], group["count"]) for group in groups["data"]] == [
        ("BadRequestError", 2),
        ("InternalServerError", 1),
    ]
    assert groups["data"][0]["sample"] == {
        "line": 5,
        "custom_id": "bad-1",
        "message": "The text asked for a 400.",
    }


def test_a_batch_without_errors_has_no_groups(api: Api) -> None:
    assert api.get(f"/v1/batches/{api.finished()}/errors").json() == {
        "object": "list",
        "data": [],
        "total": 0,
    }


def test_errors_of_a_running_batch_are_seen_at_once(api: Api) -> None:
    batch_id = api.accepted([chat_line("bad", "[[fail 400]]"), *chat_lines(3)])
    api.work(answers=2)
    assert api.get(f"/v1/batches/{batch_id}/errors").json()["total"] == 1


def test_unfinished_requests_of_a_cancelled_batch_are_a_group(api: Api) -> None:
    [group] = api.get(f"/v1/batches/{batch_in(api, 'cancelled')}/errors").json()["data"]
    assert (group["code"], group["count"]) == ("batch_cancelled", 2)


def test_requests_given_up_on_are_dead_letters_with_their_reason(api: Api, batch_id: str) -> None:
    page = api.get(f"/v1/batches/{batch_id}/dead_letters").json()

    assert (page["object"], page["has_more"]) == ("list", False)
    assert [letter["custom_id"] for letter in page["data"]] == ["bad-1", "bad-2", "broken"]
    assert [letter["attempts"] for letter in page["data"]] == [1, 1, 3]
    assert all(letter.keys() >= LETTER for letter in page["data"])
    first, last = page["data"][0], page["data"][-1]
    assert (first["code"], first["message"]) == ("BadRequestError", "The text asked for a 400.")
    assert first["retried_by_batch_id"] is None
    assert last["first_failed_at"] <= last["last_failed_at"]


def test_dead_letters_come_in_pages(api: Api, batch_id: str) -> None:
    first = api.get(f"/v1/batches/{batch_id}/dead_letters?limit=2").json()
    second = api.get(f"/v1/batches/{batch_id}/dead_letters?limit=2&after={first['data'][-1]['line']}").json()

    assert (names(first), first["has_more"]) == (["bad-1", "bad-2"], True)
    assert (names(second), second["has_more"]) == (["broken"], False)


def test_a_cancelled_request_is_no_dead_letter(api: Api) -> None:
    assert api.get(f"/v1/batches/{batch_in(api, 'cancelled')}/dead_letters").json()["data"] == []


def test_an_unknown_batch_is_not_found(api: Api) -> None:
    for path in ("errors", "dead_letters", "requests"):
        error_of(api.get(f"/v1/batches/batch_{'0' * 24}/{path}"), 404, "not_found")
