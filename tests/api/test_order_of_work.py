"""What a client can ask about the order in which a batch's lines go to the engine."""

from tests.api.errors import error_of
from tests.api.openai_dialect import create, created, uploaded
from tests.api.served import Api
from tests.lines import chat_line

LINES = [chat_line("short", "a", max_tokens=1), chat_line("long", "b", max_tokens=100)]


def answered(api: Api, batch_id: str) -> list[str]:
    api.work()
    return [line["custom_id"] for line in api.results(batch_id)]


def test_by_default_the_machine_decides(api: Api) -> None:
    batch_id = api.accepted(LINES)

    assert api.batch(batch_id)["order"] == "auto"
    assert answered(api, batch_id) == ["long", "short"]


def test_a_form_can_keep_the_order_of_the_file(api: Api) -> None:
    batch_id = api.accepted(LINES, order="submission")

    assert api.batch(batch_id)["order"] == "submission"
    assert answered(api, batch_id) == ["short", "long"]


def test_so_can_an_openai_client_with_extra_body(api: Api) -> None:
    lines = [{**line, "body": {**line["body"], "model": "gpt-4"}} for line in LINES]
    batch = created(api, lines, order="submission")

    assert batch["order"] == "submission"
    assert answered(api, batch["id"]) == ["short", "long"]


def test_another_word_is_refused(api: Api) -> None:
    file_id = uploaded(api)["id"]
    for value in ("fast", 1, ["auto"]):
        assert error_of(create(api, file_id, order=value), 400, "invalid_value")["param"] == "order"


def test_a_retry_keeps_the_order_its_parent_had(api: Api) -> None:
    parent = api.finished([chat_line("bad", "[[fail 400]]")], order="submission")
    retry = api.post(f"/v1/batches/{parent}/retry").json()["batch_id"]

    assert api.batch(retry)["order"] == "submission"
