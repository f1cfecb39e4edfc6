"""The calls of the owner's web app: submit, poll, download, cancel, look at health."""

import json
import re
from datetime import UTC, datetime, timedelta

from tests.api.served import Api
from tests.lines import chat_line, jsonl

GEMMA = "google/gemma-3-4b-it"
CANDIDATES = jsonl([chat_line("candidate-1", "Evaluate this one"), chat_line("candidate-2", "And this one")])


def test_the_receipt_is_the_owners(api: Api) -> None:
    answer = api.submit(CANDIDATES, model=GEMMA)

    assert answer.status_code == 200
    receipt = answer.json()
    assert re.fullmatch(r"batch_[0-9a-f]{24}", receipt["batch_id"])
    assert (receipt["status"], receipt["model"], receipt["total_requests"]) == ("pending", GEMMA, 2)
    created_at = datetime.strptime(receipt["created_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - created_at) < timedelta(minutes=1)


def test_the_receipt_adds_only_what_is_promised(api: Api) -> None:
    receipt = api.submit(CANDIDATES, model=GEMMA).json()

    owners = {"batch_id", "status", "model", "total_requests", "created_at"}
    assert owners <= receipt.keys() <= owners | {"endpoint", "input_file_id", "parent_batch_id"}
    assert receipt["endpoint"] == "/v1/chat/completions"


def test_the_models_of_the_lines_give_way_to_the_forms(api: Api) -> None:
    batch_id = api.finished(CANDIDATES, model=GEMMA)

    assert api.batch(batch_id)["model"] == GEMMA
    assert {line["response"]["body"]["model"] for line in api.results(batch_id)} == {GEMMA}


def test_an_alias_in_the_form_means_its_model(api: Api) -> None:
    batch_id = api.finished(CANDIDATES, model="gemma-3-4b-it")

    assert api.batch(batch_id)["model"] == "gemma-3-4b-it"
    assert {line["response"]["body"]["model"] for line in api.results(batch_id)} == {GEMMA}


def test_a_batch_is_polled_until_it_is_completed(api: Api) -> None:
    batch_id = api.accepted(CANDIDATES)
    assert api.batch(batch_id)["status"] == "pending"
    api.work(answers=1)
    assert api.batch(batch_id)["status"] == "in_progress"
    api.work()
    assert api.batch(batch_id)["status"] == "completed"


def test_each_result_is_found_where_the_owner_looks_for_it(api: Api) -> None:
    batch_id = api.finished(CANDIDATES)

    content = {
        line["custom_id"]: line["response"]["body"]["choices"][0]["message"]["content"]
        for line in api.results(batch_id)
    }

    assert content == {"candidate-1": "Evaluate this one", "candidate-2": "And this one"}


def test_an_output_line_is_openais(api: Api) -> None:
    batch_id = api.finished(CANDIDATES)

    for line in api.results(batch_id):
        assert list(line) == ["id", "custom_id", "response", "error"]
        assert line["id"].startswith("batch_req_")
        assert line["error"] is None
        assert line["response"].keys() == {"status_code", "request_id", "body"}
        assert line["response"]["status_code"] == 200
        assert line["response"]["request_id"].startswith(f"{batch_id}-")


def test_ids_of_output_lines_differ_between_lines_and_batches(api: Api) -> None:
    lines = [line for _ in range(2) for line in api.results(api.finished(CANDIDATES))]
    assert len({line["id"] for line in lines}) == 4


def test_results_are_a_download_of_jsonl(api: Api) -> None:
    batch_id = api.finished(CANDIDATES)

    answer = api.get(f"/v1/batches/{batch_id}/results")

    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == f'attachment; filename="{batch_id}_output.jsonl"'
    assert answer.content.endswith(b"\n")
    assert all(json.loads(line) for line in answer.content.splitlines())


def test_every_batch_is_listed_newest_first(api: Api) -> None:
    ids = [api.accepted(1) for _ in range(3)]
    assert [batch["batch_id"] for batch in api.get("/v1/batches").json()["data"]] == ids[::-1]


def test_delete_cancels(api: Api) -> None:
    batch_id = api.accepted()

    answer = api.delete(f"/v1/batches/{batch_id}")

    assert answer.status_code == 200
    assert answer.json()["status"] == "cancelling"
    api.work()
    assert api.batch(batch_id)["status"] == "cancelled"


def test_health_shows_what_the_owners_dashboard_polls(api: Api) -> None:
    api.accepted()

    health = api.get("/health").json()

    assert {"database", "gpu", "worker", "queue", "disk"} <= health.keys()
    assert {"status", "heartbeat_age_seconds", "model", "batch_id"} <= health["worker"].keys()
    assert (health["queue"]["active_batches"], health["queue"]["queued_requests"]) == (1, 3)
    limits = ("max_active_batches", "max_queued_requests", "max_requests_per_batch")
    assert [health["queue"][limit] for limit in limits] == [5, 100_000, 50_000]
