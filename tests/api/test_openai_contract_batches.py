"""OpenAI's dialect, the life of a batch: what each state shows, how each ends, and what becomes of every line."""

from collections.abc import Callable
from typing import Any

import pytest

from batch_app.disk import files
from batch_app.inference.echo_engine import EchoEngine
from batch_app.inference.engine import EngineAnswer, EngineRequest
from batch_app.processing import batch_completion
from tests.api.errors import error_of
from tests.api.openai_dialect import CHAT, cancel, created, ended, lines_of
from tests.api.served import Api
from tests.api.states import A_DAY_AND_AN_HOUR
from tests.lines import chat_line, chat_lines, jsonl

MOMENTS = (
    "in_progress", "expires", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled",
)  # fmt: skip
KEYS = {
    "id", "object", "endpoint", "model", "input_file_id", "completion_window", "status", "output_file_id",
    "error_file_id", "errors", "created_at", *(f"{word}_at" for word in MOMENTS), "request_counts", "usage",
    "metadata",
}  # fmt: skip
FAILING = chat_line("failing", "[[fail 400]]")


class RecordingEngine(EchoEngine):
    """Notes the ids under which it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def answer(self, request: EngineRequest) -> EngineAnswer:
        self.asked.append(request.request_id)
        return await super().answer(request)


def in_state(api: Api, status: str) -> Any:
    """A batch of three requests; one that was begun and not completed has the first of them answered."""
    content = [*chat_lines(1), b"oops"] if status == "failed" else 3
    batch_id = created(api, content)["id"]
    if status in {"in_progress", "expired", "cancelled"}:
        api.work(answers=1)
    if status in {"cancelling", "cancelled"}:
        assert cancel(api, batch_id).status_code == 200
    if status in {"completed", "cancelled", "expired"}:
        api.work(after_seconds=A_DAY_AND_AN_HOUR if status == "expired" else 0)
    batch = api.batch(batch_id)
    assert batch["status"] == status
    return batch


def custom_ids(lines: list[Any]) -> list[str]:
    return [line["custom_id"] for line in lines]


@pytest.mark.parametrize(
    ("status", "moments"),
    [
        ("validating", set()),
        ("in_progress", {"in_progress"}),
        ("completed", {"in_progress", "finalizing", "completed"}),
        ("failed", {"failed"}),
        ("expired", {"in_progress", "expired"}),
        ("cancelling", {"cancelling"}),
        ("cancelled", {"in_progress", "cancelling", "cancelled"}),
    ],
)
def test_every_state_has_every_key_and_the_moments_it_went_through(
    api: Api, status: str, moments: set[str]
) -> None:
    batch = in_state(api, status)

    assert batch.keys() >= KEYS
    assert batch["object"] == "batch"
    assert {word for word in MOMENTS if batch[f"{word}_at"] is not None} == {"expires", *moments}
    assert all(type(batch[f"{word}_at"]) is int for word in ("created", "expires", *moments))
    assert batch["request_counts"].keys() == {"total", "completed", "failed"}


def test_a_created_batch_is_validating_and_has_a_day(api: Api) -> None:
    batch = created(api, 2)

    assert batch.keys() >= KEYS
    assert (batch["status"], batch["endpoint"], batch["completion_window"]) == ("validating", CHAT, "24h")
    assert batch["expires_at"] == batch["created_at"] + 86400
    assert all(batch[f"{word}_at"] is None for word in MOMENTS if word != "expires")
    assert all(batch[name] is None for name in ("errors", "output_file_id", "error_file_id", "metadata"))
    assert batch["request_counts"] == {"total": 2, "completed": 0, "failed": 0}
    assert batch["usage"] == {
        "input_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 0,
    }


def test_a_batch_reads_validating_until_a_worker_takes_it(api: Api) -> None:
    batch_id = created(api)["id"]
    assert api.batch(batch_id)["status"] == "validating"
    page = api.get("/v1/batches?status=validating").json()
    assert [batch["id"] for batch in page["data"]] == [batch_id]
    api.work(answers=1)
    assert api.batch(batch_id)["status"] == "in_progress"


def test_the_total_is_known_and_the_completed_climb_while_a_batch_runs(api: Api) -> None:
    batch_id = created(api, 4)["id"]
    for completed in (1, 2, 3):
        api.work(answers=1)
        batch = api.batch(batch_id)
        assert batch["status"] == "in_progress"
        assert batch["request_counts"] == {"total": 4, "completed": completed, "failed": 0}
        assert batch["output_file_id"] is None


def test_a_finalizing_batch_has_all_its_counts_and_no_files_until_it_is_completed(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = created(api, [*chat_lines(2), FAILING])["id"]
    seen = []

    def publish_and_look(*args: Any, **names: Any) -> files.PublishedFile:
        published = files.publish_stream(*args, **names)
        seen.append(api.batch(batch_id))
        return published

    monkeypatch.setattr(batch_completion, "publish_stream", publish_and_look)
    api.work()

    assert len(seen) == 2  # the file of the answers, and that of the errors
    for batch in seen:
        assert (batch["status"], batch["completed_at"]) == ("finalizing", None)
        assert type(batch["finalizing_at"]) is int
        assert batch["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
        assert (batch["output_file_id"], batch["error_file_id"]) == (None, None)
    batch = api.batch(batch_id)
    assert batch["status"] == "completed"
    assert batch["output_file_id"].startswith("file-")
    assert batch["error_file_id"].startswith("file-")


def test_a_batch_without_failures_has_no_error_file(api: Api) -> None:
    batch = ended(api, 2)
    assert (batch["status"], batch["error_file_id"]) == ("completed", None)
    assert len(lines_of(api, batch["output_file_id"])) == 2


def test_a_batch_whose_requests_all_failed_is_completed_with_an_error_file_only(api: Api) -> None:
    batch = ended(api, [FAILING])
    assert (batch["status"], batch["output_file_id"]) == ("completed", None)
    assert batch["request_counts"] == {"total": 1, "completed": 0, "failed": 1}
    assert custom_ids(lines_of(api, batch["error_file_id"])) == ["failing"]


def test_an_output_line_has_openais_shape(api: Api) -> None:
    batch = ended(api, [chat_line("mine", "How are you?")])

    [line] = lines_of(api, batch["output_file_id"])

    assert line.keys() == {"id", "custom_id", "response", "error"}
    assert line["id"].startswith("batch_req_")
    assert (line["custom_id"], line["error"]) == ("mine", None)
    assert line["response"].keys() == {"status_code", "request_id", "body"}
    assert line["response"]["status_code"] == 200
    assert line["response"]["request_id"]
    assert line["response"]["body"]["choices"][0]["message"]["content"] == "How are you?"


def test_ids_of_output_lines_are_all_different(api: Api) -> None:
    lines = [line for _ in range(2) for line in lines_of(api, ended(api, 3)["output_file_id"])]
    assert len({line["id"] for line in lines}) == 6


def test_a_requests_http_error_is_a_response_in_the_error_file(api: Api) -> None:
    [line] = lines_of(api, ended(api, [FAILING])["error_file_id"])

    assert line["id"].startswith("batch_req_")
    assert (line["custom_id"], line["error"]) == ("failing", None)
    assert line["response"]["status_code"] == 400
    assert line["response"]["body"].keys() == {"error"}
    assert line["response"]["body"]["error"].keys() == {"message", "type", "param", "code"}
    assert line["response"]["body"]["error"]["message"] == "The text asked for a 400."


def test_the_engine_knows_a_request_by_batch_and_line_never_by_its_custom_id(api: Api) -> None:
    batch_id = created(api, b"\n" + jsonl([chat_line("secret"), chat_line("other")]))["id"]
    engine = RecordingEngine()

    api.work(make_engine=lambda _model: engine)

    assert sorted(engine.asked) == [f"{batch_id}-2", f"{batch_id}-3"]


def test_a_waiting_batch_is_cancelling_at_once_and_later_cancelled(api: Api) -> None:
    batch_id = created(api, 3)["id"]

    answer = cancel(api, batch_id)

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelling")
    assert type(answer.json()["cancelling_at"]) is int
    assert answer.json()["cancelled_at"] is None
    api.work()
    batch = api.batch(batch_id)
    assert (batch["status"], batch["output_file_id"]) == ("cancelled", None)
    assert len(lines_of(api, batch["error_file_id"])) == 3


@pytest.mark.parametrize(("status", "code"), [("cancelled", "batch_cancelled"), ("expired", "batch_expired")])
def test_a_batch_cut_short_keeps_what_is_finished_and_says_why_the_rest_is_not(
    api: Api, status: str, code: str
) -> None:
    batch = in_state(api, status)

    assert custom_ids(lines_of(api, batch["output_file_id"])) == ["candidate-0"]
    rest = lines_of(api, batch["error_file_id"])
    assert custom_ids(rest) == ["candidate-1", "candidate-2"]
    for line in rest:
        assert line.keys() == {"id", "custom_id", "response", "error"}
        assert line["response"] is None
        assert line["error"].keys() == {"code", "message"}
        assert line["error"]["code"] == code
        assert line["error"]["message"]
    assert batch["request_counts"] == {"total": 3, "completed": 1, "failed": 0}
    assert batch["progress"][status] == 2


def test_a_batch_that_nobody_began_expires_too(api: Api) -> None:
    batch_id = created(api, 2)["id"]
    api.work(after_seconds=A_DAY_AND_AN_HOUR)

    batch = api.batch(batch_id)

    assert (batch["status"], batch["output_file_id"]) == ("expired", None)
    assert {line["error"]["code"] for line in lines_of(api, batch["error_file_id"])} == {"batch_expired"}


def test_a_cancelled_batch_can_be_cancelled_again(api: Api) -> None:
    batch = in_state(api, "cancelled")
    answer = cancel(api, batch["id"])
    assert (answer.status_code, answer.json()) == (200, batch)


@pytest.mark.parametrize("status", ["completed", "failed", "expired"])
def test_a_batch_that_has_ended_is_not_cancelled_and_clients_are_told_not_to_retry(
    api: Api, status: str
) -> None:
    batch = in_state(api, status)

    answer = cancel(api, batch["id"])

    error_of(answer, 409, "batch_not_cancellable")
    assert answer.headers["x-should-retry"] == "false"
    assert api.batch(batch["id"]) == batch


def test_an_unknown_batch_is_not_found(api: Api) -> None:
    error = error_of(api.get(f"/v1/batches/batch_{'0' * 24}"), 404)
    assert error["message"].startswith("No batch found")


def test_the_operator_can_switch_expiry_off(serve: Callable[..., Api]) -> None:
    api = serve(expire_batches=False)
    batch = created(api)
    assert (batch["completion_window"], batch["expires_at"]) == ("24h", None)
    api.work(after_seconds=A_DAY_AND_AN_HOUR)
    assert api.batch(batch["id"])["status"] == "completed"
