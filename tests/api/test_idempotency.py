"""Idempotency-Key: a submission that is sent again makes no second batch."""

from typing import Any

import httpx
import pytest

from tests.api.errors import error_of
from tests.api.openai_dialect import create, uploaded
from tests.api.served import Api
from tests.api.test_gpu_guard import UNFIT
from tests.lines import chat_line, chat_lines, jsonl

KEY = {"Idempotency-Key": "nightly-2025-10-29"}


def test_the_same_submission_again_gets_the_same_answer(api: Api) -> None:
    first = api.submit(3, headers=KEY, metadata='{"a": "b"}')
    before = api.stored()

    again = api.submit(3, headers=KEY, metadata='{"a": "b"}')

    assert (again.status_code, again.json()) == (200, first.json())
    assert api.stored() == before


def test_the_answer_stays_the_same_when_the_batch_has_gone_on(api: Api) -> None:
    first = api.submit(3, headers=KEY)
    api.work()
    assert api.submit(3, headers=KEY).json() == first.json()


def test_sending_at_once_makes_one_batch(api: Api) -> None:
    answers = api.together(
        [("POST", "/v1/batches", {"files": {"file": jsonl(chat_lines(3))}, "headers": KEY}) for _ in range(5)]
    )

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["batch_id"] for answer in answers}) == 1
    stored = api.stored()
    assert (stored["batches"], stored["files"], len(stored["paths"])) == (1, 1, 1)


@pytest.mark.parametrize(
    "changed",
    [
        {"content": 4},
        {"model": "another"},
        {"priority": "1"},
        {"metadata": '{"a": "b"}'},
        {"completion_window": "24h"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_submission_under_the_same_key_is_refused(api: Api, changed: dict[str, Any]) -> None:
    api.submit(3, headers=KEY)
    before = api.stored()

    answer = api.submit(**{"content": 3, "headers": KEY, **changed})

    error = error_of(answer, 422, "idempotency_key_reused")
    assert error["param"] == "idempotency-key"
    assert KEY["Idempotency-Key"] in error["message"]
    assert api.stored() == before


def test_a_full_queue_still_knows_what_it_accepted(serve: Any) -> None:
    api = serve(max_active_batches=1)
    first = api.submit(3, headers=KEY)
    assert api.submit(3).status_code == 429
    assert api.submit(3, headers=KEY).json() == first.json()


@pytest.mark.parametrize("way", ["form", "JSON", "retry"])
def test_an_unfit_gpu_still_knows_what_was_accepted_and_takes_nothing_new(api: Api, way: str) -> None:
    file_id = uploaded(api)["id"]
    ended = api.finished([chat_line("bad", "[[fail 400]]")])

    def send(key: str) -> httpx.Response:
        headers = {"Idempotency-Key": key}
        if way == "retry":
            return api.post(f"/v1/batches/{ended}/retry", headers=headers)
        return api.submit(3, headers=headers) if way == "form" else create(api, file_id, headers=headers)

    first = send("key-1").json()
    before = api.stored()
    api.gpu.reading = UNFIT[0][0]

    again = send("key-1")

    assert again.status_code == 200, again.text
    assert again.json()["batch_id"] == first["batch_id"]
    error_of(send("key-2"), 503, "gpu_unfit")
    assert api.stored() == before
    api.gpu.reading = None
    assert send("key-2").status_code == 200


def test_a_refused_submission_leaves_its_key_free(api: Api) -> None:
    error_of(api.submit([b"oops"], headers=KEY), 400)
    assert api.submit(3, headers=KEY).status_code == 200


def test_a_key_is_forgotten_after_a_day(api: Api) -> None:
    first = api.submit(3, headers=KEY).json()["batch_id"]
    with api.database.write() as connection:
        connection.exec_driver_sql("UPDATE batches SET created_at = created_at - 86401")

    second = api.submit(4, headers=KEY)

    assert second.status_code == 200
    assert second.json()["batch_id"] != first


@pytest.mark.parametrize("key", ["", "with space", "x" * 256, "ключ".encode()])
def test_a_malformed_key_is_refused(api: Api, key: str | bytes) -> None:
    answer = api.submit(3, headers={"Idempotency-Key": key})
    assert error_of(answer, 400)["param"] == "idempotency-key"
    assert api.has_stored_nothing()
