"""A retry is a new batch of the lines that got no answer, linked with the old one both ways."""

import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from tests.api.errors import error_of
from tests.api.openai_dialect import cancel, created
from tests.api.served import MODEL, Api
from tests.api.states import batch_in
from tests.lines import chat_line, chat_lines, jsonl

MIXED = [
    chat_line("good-1"), chat_line("bad-1", "[[fail 400]]"), chat_line("good-2"), chat_line("bad-2", "[[fail 422]]"),
]  # fmt: skip


def retried(api: Api, batch_id: str, *, key: str | None = None) -> Any:
    """The receipt of a retry."""
    answer = api.post(f"/v1/batches/{batch_id}/retry", headers=_keyed(key))
    assert answer.status_code == 200, answer.text
    return answer.json()


def _keyed(key: str | None) -> dict[str, str]:
    return {"idempotency-key": key} if key else {}


def requests_of(api: Api, batch_id: str) -> list[str]:
    return [row["custom_id"] for row in api.get(f"/v1/batches/{batch_id}/requests").json()["data"]]


def test_only_the_failed_requests_are_tried_again(api: Api) -> None:
    parent = api.finished(MIXED)

    receipt = retried(api, parent)

    assert (receipt["status"], receipt["total_requests"], receipt["model"]) == ("pending", 2, MODEL)
    assert receipt["parent_batch_id"] == parent
    assert requests_of(api, receipt["batch_id"]) == ["bad-1", "bad-2"]
    lines = api.get(f"/v1/files/{receipt['input_file_id']}/content").content.splitlines()
    assert [json.loads(line) for line in lines] == [MIXED[1], MIXED[3]]


def test_parent_and_child_know_each_other(api: Api) -> None:
    parent = api.finished(MIXED)
    child = retried(api, parent)["batch_id"]

    assert api.batch(child)["parent_batch_id"] == parent
    assert api.batch(parent)["retried_by"] == [child]
    assert api.batch(child)["retried_by"] == []
    letters = api.get(f"/v1/batches/{parent}/dead_letters").json()["data"]
    assert [letter["retried_by_batch_id"] for letter in letters] == [child, child]


def test_a_batch_names_every_retry_in_lists_too(api: Api) -> None:
    parent = batch_in(api, "cancelled")  # its lines left no dead letters
    other = api.finished(MIXED)
    first, second = (retried(api, parent)["batch_id"] for _ in range(2))

    found = {batch["id"]: batch["retried_by"] for batch in api.get("/v1/batches").json()["data"]}

    assert found == {parent: [first, second], other: [], first: [], second: []}


def test_a_retry_sent_again_with_its_key_makes_no_second_batch(serve: Callable[..., Api]) -> None:
    api = serve(max_active_batches=1)
    parent, other = api.finished(MIXED), api.finished(MIXED)
    first = retried(api, parent, key="retry-1")
    before = api.stored()

    assert retried(api, parent, key="retry-1") == first  # though the queue is full
    assert api.stored() == before
    api.work()
    assert retried(api, parent, key="retry-1")["batch_id"] == first["batch_id"]  # whatever has become of it
    assert api.batch(parent)["retried_by"] == [first["batch_id"]]
    error_of(api.post(f"/v1/batches/{other}/retry", headers=_keyed("retry-1")), 422, "idempotency_key_reused")
    assert retried(api, parent, key="retry-2")["batch_id"] != first["batch_id"]


def test_a_retry_sent_again_with_its_key_is_known_though_the_parents_input_is_deleted(api: Api) -> None:
    parent = api.finished(MIXED)
    first = retried(api, parent, key="retry-1")
    assert api.delete(f"/v1/files/{api.batch(parent)['input_file_id']}").status_code == 200

    assert retried(api, parent, key="retry-1") == first
    error_of(api.post(f"/v1/batches/{parent}/retry", headers=_keyed("retry-2")), 409, "input_file_deleted")
    error_of(api.post(f"/v1/batches/{parent}/retry"), 409, "input_file_deleted")


def test_a_retry_sent_twice_at_once_with_its_key_makes_one_batch(api: Api) -> None:
    parent = api.finished(MIXED)
    path = f"/v1/batches/{parent}/retry"

    answers = api.together([("POST", path, {"headers": _keyed("retry-1")}) for _ in range(4)])

    assert [answer.status_code for answer in answers] == [200] * 4
    assert {answer.json()["batch_id"] for answer in answers} == set(api.batch(parent)["retried_by"])
    assert len(api.batch(parent)["retried_by"]) == 1


def test_the_parent_stays_as_it_was(api: Api) -> None:
    parent = api.finished(MIXED)
    before = api.batch(parent)
    child = retried(api, parent)["batch_id"]
    api.work()
    assert api.batch(parent) == {**before, "retried_by": [child]}


def test_a_retry_keeps_what_was_asked_for(api: Api) -> None:
    asked = {"model": "smollm2", "priority": "9", "metadata": '{"run": "nightly"}'}
    parent = api.finished(MIXED, **asked)

    child = api.batch(retried(api, parent)["batch_id"])

    kept = ("model", "priority", "metadata", "endpoint", "filename")
    assert {name: child[name] for name in kept} == {name: api.batch(parent)[name] for name in kept}


def test_a_retry_has_the_window_of_its_parent_and_its_output_the_same_lifetime(api: Api) -> None:
    lifetime = {"anchor": "created_at", "seconds": 3600}
    parent = created(api, 3, output_expires_after=lifetime)["id"]
    assert cancel(api, parent).status_code == 200
    api.work()

    child = retried(api, parent)["batch_id"]
    api.work()

    batch = api.batch(child)
    assert (batch["status"], batch["completion_window"]) == ("completed", "24h")
    assert batch["expires_at"] == batch["created_at"] + 24 * 3600
    output = api.get(f"/v1/files/{batch['output_file_id']}").json()
    assert output["expires_at"] == pytest.approx(output["created_at"] + 3600, abs=5)


def test_a_window_that_is_allowed_no_longer_gives_way_to_the_first_that_is(serve: Callable[..., Api]) -> None:
    api = serve(completion_windows="7d,24h")
    parent = api.finished(MIXED, completion_window="24h")
    assert api.batch(retried(api, parent)["batch_id"])["completion_window"] == "24h"
    stricter = api.settings.model_copy(update={"completion_windows": "2h,12h"})
    with closing(Api(stricter)) as restarted:
        assert restarted.batch(retried(restarted, parent)["batch_id"])["completion_window"] == "2h"


def test_a_retry_of_a_retry_tries_what_is_left(api: Api) -> None:
    child = retried(api, api.finished(MIXED))["batch_id"]
    api.work()
    grandchild = retried(api, child)
    assert (grandchild["total_requests"], grandchild["parent_batch_id"]) == (2, child)


@pytest.mark.parametrize("status", ["cancelled", "expired"])
def test_what_a_cut_short_batch_left_undone_can_be_done(api: Api, status: str) -> None:
    child = retried(api, batch_in(api, status))["batch_id"]
    api.work()
    assert [line["custom_id"] for line in api.results(child)] == ["candidate-1", "candidate-2"]


def test_lines_are_found_again_in_a_file_from_any_editor(api: Api) -> None:
    content = b"\xef\xbb\xbf" + jsonl(MIXED[::-1]).replace(b"\n", b"\r\n\r\n")
    child = retried(api, api.finished(content))["batch_id"]
    assert requests_of(api, child) == ["bad-2", "bad-1"]


def test_nothing_to_retry_is_said(api: Api) -> None:
    parent = api.finished(chat_lines(2))
    before = api.stored()

    error_of(api.post(f"/v1/batches/{parent}/retry"), 400, "nothing_to_retry")
    assert api.stored() == before


@pytest.mark.parametrize("status", ["pending", "in_progress", "cancelling", "finalizing"])
def test_an_open_batch_is_not_retried(api: Api, status: str) -> None:
    answer = api.post(f"/v1/batches/{batch_in(api, status)}/retry")
    error_of(answer, 409)
    assert answer.headers["x-should-retry"] == "false"


def test_a_full_queue_refuses_a_retry_and_links_nothing(serve: Any) -> None:
    api = serve(max_active_batches=1)
    parent = api.finished(MIXED)
    api.accepted(1)
    before = api.stored()

    answer = api.post(f"/v1/batches/{parent}/retry")

    error_of(answer, 429, "queue_full")
    assert int(answer.headers["retry-after"]) > 0
    assert api.stored() == before
    letters = api.get(f"/v1/batches/{parent}/dead_letters").json()["data"]
    assert {letter["retried_by_batch_id"] for letter in letters} == {None}


def test_an_unknown_batch_is_not_found(api: Api) -> None:
    error_of(api.post(f"/v1/batches/batch_{'0' * 24}/retry"), 404, "not_found")
