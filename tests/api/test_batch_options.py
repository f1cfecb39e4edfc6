"""Each option of a batch is declared once: both forms, the batch object, a retry and the digest know it by that."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from batch_app.api.batch_spec import NOT_DIGESTED, BatchSpec, digest_of_spec
from batch_app.options import OPTION_FIELDS, OPTIONS, Option
from batch_app.store import batches
from tests.api.openai_dialect import create, uploaded
from tests.api.served import Api
from tests.lines import chat_line

# A value other than the default, by the option's name on the wire; a new option needs a row here.
SENT: dict[str, Any] = {
    "priority": 7,
    "order": "submission",
    "deduplicate": True,
    "use_cache": True,
    "metadata": {"run": "nightly"},
    "completion_window": "24h",
    "output_expires_after": {"anchor": "created_at", "seconds": 7200},
}
STORED = {**{option.attribute: SENT[option.name] for option in OPTIONS}, "output_expires_after_seconds": 7200}
SPEC = BatchSpec(model="tiny", filename="in.jsonl")
# Another value than the one in SPEC, by field.
CHANGED: dict[str, Any] = {
    **STORED,
    "model": "another",
    "parent_batch_id": "batch_1",
    "filename": "other.jsonl",
    "dialect": "openai",
    "idempotency_key": "key",
}
each_option = pytest.mark.parametrize("option", OPTIONS, ids=[option.name for option in OPTIONS])


def stored(api: Api, batch_id: str, option: Option) -> Any:
    return getattr(batches.get_batch(api.database, batch_id=batch_id), option.attribute)


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def test_every_field_of_the_options_is_an_option() -> None:
    assert sorted(option.attribute for option in OPTIONS) == sorted(OPTION_FIELDS)


@each_option
def test_an_option_of_the_form_is_stored_and_kept_by_a_retry(api: Api, option: Option) -> None:
    if option.form_schema is None:
        assert api.submit(3, **{option.name: as_text(SENT[option.name])}).status_code == 400
        return
    lines = [chat_line("good"), chat_line("bad", "[[fail 400]]")]
    parent = api.finished(lines, **{option.name: as_text(SENT[option.name])})
    assert stored(api, parent, option) == STORED[option.attribute]

    retry = api.post(f"/v1/batches/{parent}/retry").json()["batch_id"]
    assert stored(api, retry, option) == STORED[option.attribute]


@each_option
def test_an_option_of_the_json_form_is_stored_and_shown(api: Api, option: Option) -> None:
    made = create(api, uploaded(api)["id"], **{option.name: SENT[option.name]}).json()
    assert stored(api, made["id"], option) == STORED[option.attribute]
    assert made.get(option.name, SENT[option.name]) == SENT[option.name]


@each_option
def test_a_wrong_value_is_refused_by_the_name_of_the_option(api: Api, option: Option) -> None:
    answer = create(api, uploaded(api)["id"], **{option.name: [17]})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith(option.name)


@pytest.mark.parametrize("name", [field.name for field in fields(BatchSpec)])
def test_each_field_of_what_is_asked_changes_the_digest(name: str) -> None:
    other = replace(SPEC, **{name: CHANGED[name]})
    is_same = digest_of_spec(other, "/v1/embeddings", "abc") == digest_of_spec(SPEC, "/v1/embeddings", "abc")
    assert is_same is (name in NOT_DIGESTED)


def test_endpoint_and_content_change_the_digest() -> None:
    asked = [("/v1/embeddings", "abc"), ("/v1/score", "abc"), ("/v1/embeddings", "abd")]
    assert len({digest_of_spec(SPEC, *one) for one in asked}) == 3


@each_option
def test_a_key_with_another_option_is_another_request(api: Api, option: Option) -> None:
    file_id = uploaded(api)["id"]
    headers = {"Idempotency-Key": "once"}
    if option.name == "completion_window":
        first = api.submit(3, headers=headers)
        again = api.submit(3, headers=headers, completion_window="24h")
    else:
        first = create(api, file_id, headers=headers)
        again = create(api, file_id, headers=headers, **{option.name: SENT[option.name]})
    assert first.status_code == 200
    assert (again.status_code, again.json()["error"]["code"]) == (422, "idempotency_key_reused")
