"""What an answer means for its line: done, failed for good, or tried again."""

from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batch_app.inference.engine import EngineAnswer
from batch_app.processing.claimed_batch import ArrivedAnswer
from batch_app.processing.outcomes import ENGINE_CRASHED, FinalAnswer, RetryPolicy, decide, give_up
from batch_app.states import RequestStatus
from batch_app.store.request_writes import FetchedRequest, ScheduledRetry

NOW = 1_000.0
RULE = RetryPolicy(max_attempts=3, backoff_seconds=2)
GOOD = {"choices": [{"finish_reason": "stop"}], "usage": {"prompt_tokens": 4, "completion_tokens": 2}}
BAD = {"error": {"message": "too long", "type": "BadRequestError", "param": None, "code": 400}}


def taken(attempts: int = 0) -> FetchedRequest:
    return FetchedRequest(7, "candidate-7", 0, 10, attempts, 0)


def settled(
    status: int, body: Any, *, attempts: int = 0, rule: RetryPolicy = RULE
) -> FinalAnswer | ScheduledRetry:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return decide("batch_a", ArrivedAnswer(taken(attempts), EngineAnswer(status, raw), NOW - 5), rule, NOW)


def ended(*arguments: Any, **options: Any) -> FinalAnswer:
    found = settled(*arguments, **options)
    assert isinstance(found, FinalAnswer)
    return found


def test_an_answer_is_done_and_goes_to_the_output_file() -> None:
    found = ended(200, GOOD)
    line = orjson.loads(found.text)
    assert (found.kind, line["custom_id"], line["response"]["body"]) == ("output", "candidate-7", GOOD)
    outcome = found.outcome
    assert (outcome.status, outcome.attempts, outcome.started_at) == (RequestStatus.COMPLETED, 1, NOW - 5)
    assert (outcome.input_tokens, outcome.output_tokens, outcome.finish_reason) == (4, 2, "stop")
    assert (outcome.error_code, outcome.dead_letter) == (None, None)


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_refusal_is_final_at_once_and_becomes_a_dead_letter(status: int) -> None:
    found = ended(status, BAD)
    line = orjson.loads(found.text)
    assert (found.kind, line["response"]["status_code"], line["error"]) == ("error", status, None)
    outcome = found.outcome
    assert (outcome.status, outcome.status_code) == (RequestStatus.FAILED, status)
    assert (outcome.error_code, outcome.dead_letter) == ("BadRequestError", "too long")


@pytest.mark.parametrize("status", [500, 503, 408, 429])
def test_a_server_error_is_tried_again_after_a_while_that_doubles(status: int) -> None:
    assert settled(status, BAD) == ScheduledRetry(7, 1, NOW + 2)
    assert settled(status, BAD, attempts=1) == ScheduledRetry(7, 2, NOW + 4)


def test_the_last_attempt_is_final() -> None:
    outcome = ended(500, BAD, attempts=2).outcome
    assert (outcome.status, outcome.attempts) == (RequestStatus.FAILED, 3)
    assert outcome.dead_letter == "too long"


def test_nobody_waits_longer_than_five_minutes_for_another_attempt() -> None:
    assert settled(500, BAD, attempts=50, rule=RetryPolicy(100, 2)) == ScheduledRetry(7, 51, NOW + 300)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"null", b"\xff"])
def test_an_answer_that_is_no_json_object_counts_as_a_server_error(body: bytes) -> None:
    assert settled(200, body) == ScheduledRetry(7, 1, NOW + 2)
    assert ended(200, body, attempts=2).outcome.error_code == "server_error"


def test_an_error_without_words_is_known_by_its_status() -> None:
    outcome = ended(404, {}).outcome
    assert (outcome.error_code, outcome.dead_letter) == ("404", "HTTP 404")


scalars = (
    st.none() | st.booleans() | st.integers(-5, 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=5)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2)
)
words = [
    "prompt_tokens",
    "completion_tokens",
    "input_tokens_details",
    "cached_tokens",
    "message",
    "code",
    "type",
]
parts = st.dictionaries(st.sampled_from(words), values, max_size=4) | values
choices = st.lists(st.dictionaries(st.just("finish_reason"), values), max_size=2) | values
answers = st.fixed_dictionaries(
    {}, optional={"usage": parts, "error": parts, "choices": choices, "output": values}
)


@given(status=st.sampled_from([200, 400, 500]), body=answers)
@example(status=200, body={"usage": {"prompt_tokens": "many"}})
@example(status=200, body={"choices": [{"finish_reason": ["stop"]}]})
def test_whatever_an_engine_answers_the_line_gets_an_end_that_the_ledger_can_hold(
    status: int, body: Any
) -> None:
    outcome = ended(status, body, attempts=2).outcome
    assert isinstance(outcome.input_tokens, int)
    assert isinstance(outcome.output_tokens, int)
    assert outcome.finish_reason is None or isinstance(outcome.finish_reason, str)
    assert (outcome.dead_letter is None) == (status == 200)
    assert (outcome.error_code is None) == (status == 200)


@pytest.mark.parametrize(
    ("status", "code", "is_dead_letter"),
    [
        (RequestStatus.CANCELLED, "batch_cancelled", False),
        (RequestStatus.EXPIRED, "batch_expired", False),
        (RequestStatus.FAILED, "model_load_failed", False),
        (RequestStatus.FAILED, ENGINE_CRASHED, True),
    ],
)
def test_a_line_given_up_is_a_dead_letter_only_if_it_is_to_blame(
    status: RequestStatus, code: str, *, is_dead_letter: bool
) -> None:
    found = give_up("batch_a", taken(attempts=2), code=code, message="why", status=status)
    assert orjson.loads(found.text)["error"] == {"code": code, "message": "why"}
    assert (found.kind, found.outcome.status, found.outcome.attempts) == ("error", status, 2)
    assert found.outcome.dead_letter == ("why" if is_dead_letter else None)
