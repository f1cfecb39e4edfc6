"""What a client can ask about requests that must get the same answer, and what it is told."""

from typing import Any

from tests.api.errors import error_of
from tests.api.openai_dialect import create, created, lines_of, uploaded
from tests.api.served import Api
from tests.lines import chat_line

LINES: list[dict[str, Any]] = [chat_line(name, "the same", temperature=0) for name in "abc"]


def test_a_form_can_ask_for_it_and_each_line_says_whose_answer_it_has(api: Api) -> None:
    batch_id = api.finished(LINES, deduplicate="true")

    batch = api.batch(batch_id)
    assert (batch["deduplicate"], batch["reused"]["deduplicated"]) == (True, 2)
    assert batch["request_counts"] == {"total": 3, "completed": 3, "failed": 0}
    assert batch["usage"]["output_tokens"] == 2
    marks = {line["custom_id"]: line.get("deduplicated_from") for line in api.results(batch_id)}
    assert marks == {"a": None, "b": "a", "c": "a"}


def test_a_batch_that_does_not_ask_has_no_such_lines(api: Api) -> None:
    for fields in ({}, {"deduplicate": "false"}):
        batch_id = api.finished(LINES, **fields)
        batch = api.batch(batch_id)
        assert (batch["deduplicate"], batch["reused"]["deduplicated"]) == (False, 0)
        assert batch["usage"]["output_tokens"] == 6
        assert all("deduplicated_from" not in line for line in api.results(batch_id))


def test_an_openai_client_asks_with_extra_body(api: Api) -> None:
    batch = created(api, LINES, deduplicate=True)
    api.work()

    ended = api.batch(batch["id"])
    assert ended["reused"]["deduplicated"] == 2
    assert len(lines_of(api, ended["output_file_id"])) == 3
    for value in ("true", 1, []):
        refused = create(api, uploaded(api)["id"], deduplicate=value)
        assert error_of(refused, 400, "invalid_value")["param"] == "deduplicate"


def test_a_retry_shares_answers_as_its_parent_did(api: Api) -> None:
    failing = [chat_line(name, "[[fail 400]]", temperature=0) for name in "ab"]
    parent = api.finished(failing, deduplicate="true")
    retry = api.post(f"/v1/batches/{parent}/retry").json()["batch_id"]

    assert api.batch(retry)["deduplicate"] is True


def test_a_batch_can_take_answers_of_batches_before_it(api: Api) -> None:
    first, second = (api.batch(api.finished(LINES[:1], use_cache="true")) for _ in range(2))

    assert (first["use_cache"], first["reused"]["cached"], second["reused"]["cached"]) == (True, 0, 1)
    assert (first["usage"]["output_tokens"], second["usage"]["output_tokens"]) == (2, 0)
    assert [line.get("cached") for line in api.results(second["id"])] == [True]
