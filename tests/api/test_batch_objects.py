"""One batch object for both kinds of client: OpenAI's fields and types, and the owner's beside them."""

import math
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.served import MODEL, Api
from tests.api.states import batch_in
from tests.lines import chat_line, chat_lines

MOMENTS = (
    "in_progress",
    "expires",
    "finalizing",
    "completed",
    "failed",
    "expired",
    "cancelling",
    "cancelled",
)
OPENAIS = {
    "id", "object", "endpoint", "model", "errors", "input_file_id", "completion_window", "status",
    "output_file_id", "error_file_id", "created_at", *(f"{word}_at" for word in MOMENTS),
    "request_counts", "usage", "metadata",
}  # fmt: skip
OWNERS = {
    "batch_id", "total_requests", "priority", "order", "deduplicate", "use_cache", "reused", "engine",
    "parent_batch_id", "retried_by", "filename", "input_bytes", "output_bytes", "error_bytes", "progress",
}  # fmt: skip
PROGRESS = {
    "percent", "phase", "pending", "running", "cancelled", "expired", "chunk", "chunks", "requests_per_second",
    "tokens_per_second", "eta_seconds", "queue_position", "elapsed_seconds",
}  # fmt: skip
# Each state with the moments that a batch in it has been through.
STATES: dict[str, set[str]] = {
    "pending": set(),
    "in_progress": {"in_progress"},
    "completed": {"in_progress", "finalizing", "completed"},
    "failed": {"failed"},  # its model cannot be loaded: nobody has begun it
    "expired": {"in_progress", "expires", "expired"},
    "cancelling": {"cancelling"},
    "cancelled": {"in_progress", "cancelling", "cancelled"},
}


def moments(batch: dict[str, Any]) -> set[str]:
    """The moments that the batch has been through."""
    return {word for word in MOMENTS if batch[f"{word}_at"] is not None}


@pytest.mark.parametrize("status", [*STATES, "finalizing"])
def test_every_key_is_there_in_every_state(api: Api, status: str) -> None:
    batch = api.batch(batch_in(api, status))

    assert batch.keys() == OPENAIS | OWNERS
    assert batch["object"] == "batch"
    assert batch["progress"].keys() == PROGRESS
    for word in ("created", *moments(batch)):
        assert type(batch[f"{word}_at"]) is int
        assert abs(batch[f"{word}_at"] - time.time()) < 2 * 86400
    assert moments(batch) == STATES.get(status, set())
    assert all(type(count) is int for count in batch["request_counts"].values())
    assert batch["request_counts"].keys() == {"total", "completed", "failed"}
    [listed] = api.get("/v1/batches").json()["data"]
    assert listed | {"progress": None} == batch | {"progress": None}


def test_a_new_batch_has_done_nothing_yet(api: Api) -> None:
    batch = api.batch(api.accepted(3))

    assert batch["id"] == batch["batch_id"]
    assert (batch["model"], batch["endpoint"], batch["filename"]) == (
        MODEL, "/v1/chat/completions", "candidates.jsonl",
    )  # fmt: skip
    assert batch["request_counts"] == {"total": 3, "completed": 0, "failed": 0}
    assert moments(batch) == set()
    nulls = ("errors", "output_file_id", "error_file_id", "metadata", "completion_window", "parent_batch_id")
    assert all(batch[name] is None for name in nulls)


def test_usage_has_openais_details(api: Api) -> None:
    batch = api.batch(api.finished([chat_line("a", "one two three"), chat_line("b", "four")]))

    assert batch["usage"] == {
        "input_tokens": 4,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 8,
    }


def test_a_batch_that_an_engine_worked_on_says_how_it_was_used(api: Api) -> None:
    assert api.batch(api.accepted(3))["engine"] is None

    engine = api.batch(api.finished(3))["engine"]

    assert engine.keys() == {
        "seconds", "full_share", "mean_requests", "mean_cache_usage", "preemptions", "cached_prompt_share",
    }  # fmt: skip
    assert engine["seconds"] > 0
    assert (engine["full_share"], engine["preemptions"], engine["cached_prompt_share"]) == (0, 0, 0)


def test_counts_climb_while_a_batch_runs(api: Api) -> None:
    batch_id = api.accepted([*chat_lines(4), chat_line("bad", "[[fail 400]]")])
    api.work(answers=2)

    batch = api.batch(batch_id)

    assert batch["request_counts"] == {"total": 5, "completed": 2, "failed": 0}
    assert batch["output_file_id"] is None
    progress = batch["progress"]
    assert (progress["percent"], progress["running"], progress["phase"]) == (40.0, 3, "running")
    assert progress["requests_per_second"] > 0
    low, high = progress["eta_seconds"]
    assert 0 <= low <= high


def test_a_completed_batch_names_the_files_of_its_answers(api: Api) -> None:
    batch = api.batch(api.finished([*chat_lines(2), chat_line("bad", "[[fail 400]]")]))

    assert batch["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
    assert batch["output_file_id"].startswith("file-")
    assert batch["error_file_id"].startswith("file-")
    assert (batch["progress"]["percent"], batch["progress"]["phase"]) == (100.0, "done")


def test_a_batch_whose_model_cannot_be_loaded_says_why(api: Api) -> None:
    batch = api.batch(batch_in(api, "failed"))

    assert batch["errors"]["object"] == "list"
    [reason] = batch["errors"]["data"]
    assert reason["code"] == "model_load_failed"
    assert "80 GB" in reason["message"]
    assert reason.keys() == {"code", "message", "param", "line"}


def test_a_completion_window_gives_an_expiry_a_day_away(api: Api) -> None:
    batch = api.batch(api.accepted(completion_window="24h"))

    assert batch["completion_window"] == "24h"
    assert batch["expires_at"] == batch["created_at"] + 86400


def test_waiting_batches_know_their_place_in_the_queue(api: Api) -> None:
    first, urgent = api.accepted(1), api.accepted(1, priority="5")

    assert api.batch(urgent)["progress"]["queue_position"] == 1
    assert api.batch(first)["progress"]["queue_position"] == 2
    assert api.batch(first)["progress"]["phase"] == "waiting_for_worker"


def test_a_waiting_batch_shares_the_rate_of_now_with_those_of_its_model_by_priority(api: Api) -> None:
    running = api.accepted(9)
    api.work(answers=2)
    waiting, urgent = api.accepted(4), api.accepted(3, priority="5")

    listed = api.get("/v1/batches").json()["data"]
    etas = {batch["id"]: batch["progress"]["eta_seconds"] for batch in listed}

    # Of the seven that the running one has left, four are answered by turns with those of the waiting one.
    for batch_id, requests in ((urgent, 3), (waiting, 3 + 4 + 4)):
        expected = [pytest.approx(seconds * requests / 7, abs=0.2) for seconds in etas[running]]
        assert etas[batch_id] == expected
    alone = api.batch(waiting)["progress"]
    assert (alone["queue_position"], alone["eta_seconds"] is None) == (2, False)


@pytest.mark.parametrize(("turn_seconds", "requests"), [(3, 1), (3, 8), (900, 1)])
def test_a_waiting_batch_of_another_model_waits_no_longer_than_the_turns_of_the_one_at_work(
    serve: Callable[..., Api], turn_seconds: float, requests: int
) -> None:
    api = serve(model_turn_seconds=turn_seconds)
    running = api.accepted(52)
    api.work(answers=2)
    waiting = api.accepted(requests, model="google/gemma-3-4b-it")

    listed = api.get("/v1/batches").json()["data"]
    etas = {batch["id"]: batch["progress"]["eta_seconds"] for batch in listed}
    (soonest, latest), (low, high) = etas[running], etas[waiting]

    own = latest * requests / 50
    turns = math.ceil(own / turn_seconds)  # of its own, with one of the other model before each
    assert low == pytest.approx(soonest * requests / 50, abs=0.2)
    assert high == pytest.approx(own + min(latest, turns * turn_seconds), abs=0.2)


def test_a_batch_that_is_being_cancelled_has_no_time_left(api: Api) -> None:
    batch_id = api.accepted(5)
    api.work(answers=2)
    assert api.batch(batch_id)["progress"]["eta_seconds"] is not None
    api.delete(f"/v1/batches/{batch_id}")
    batch = api.batch(batch_id)
    assert (batch["status"], batch["progress"]["eta_seconds"]) == ("cancelling", None)


def test_while_nothing_is_answered_nobody_can_tell_when_a_waiting_batch_will_be_done(api: Api) -> None:
    api.accepted(5)
    waiting = api.accepted(4)
    assert api.batch(waiting)["progress"]["eta_seconds"] is None
    api.delete(f"/v1/batches/{waiting}")
    api.work()
    later = api.accepted(2)
    assert api.batch(later)["progress"]["eta_seconds"] is None


@pytest.mark.parametrize(
    ("report", "phase"),
    [({"state": "idle"}, "queued"), ({"state": "loading", "model": MODEL}, "loading_model")],
)
def test_the_phase_says_what_a_waiting_batch_waits_for(api: Api, report: dict[str, Any], phase: str) -> None:
    batch_id = api.accepted()
    api.register_worker(**report)
    assert api.batch(batch_id)["progress"]["phase"] == phase


def test_a_silent_worker_is_one_that_a_batch_waits_for(api: Api) -> None:
    batch_id = api.accepted()
    api.register_worker(age_seconds=100)
    assert api.batch(batch_id)["progress"]["phase"] == "waiting_for_worker"


def test_a_batch_tells_how_large_its_files_are_until_they_are_deleted(api: Api) -> None:
    batch_id = api.finished([*chat_lines(2), chat_line("bad", "[[fail 400]]")])
    batch = api.batch(batch_id)
    for kind in ("input", "output", "error"):
        content = api.get(f"/v1/files/{batch[f'{kind}_file_id']}/content").content
        assert batch[f"{kind}_bytes"] == len(content) > 0
    api.delete(f"/v1/files/{batch['output_file_id']}")
    assert api.batch(batch_id)["output_bytes"] is None
    assert api.batch(api.accepted(1))["output_bytes"] is None
