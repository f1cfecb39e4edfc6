"""What an answer means for its line: done, failed for good, or to be tried again. Pure."""

from dataclasses import dataclass, replace
from typing import Any

import orjson

from batch_app import ids
from batch_app.disk.files import AnswerKind
from batch_app.inference.engine import EngineAnswer
from batch_app.input.request_lines import answer_line, read_facts, repeated_line, unanswered_line
from batch_app.processing.claimed_batch import ArrivedAnswer
from batch_app.states import RequestStatus
from batch_app.store.request_writes import FetchedRequest, Outcome, ScheduledRetry

MAX_BACKOFF_SECONDS = 300.0
_TOKENS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
_RETRIED_REFUSALS = frozenset({408, 429})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`backoff_seconds` before the second attempt; it doubles with each further one."""

    max_attempts: int
    backoff_seconds: float


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """The end of a line: the bytes of its answer, the file they belong to, and what the ledger keeps."""

    kind: AnswerKind
    text: bytes
    outcome: Outcome


def decide(
    batch_id: str, arrival: ArrivedAnswer, rule: RetryPolicy, now: float
) -> FinalAnswer | ScheduledRetry:
    """A server error is tried again; a refusal is final at once."""
    attempts = arrival.line.attempts + 1
    status = arrival.answer.status_code
    body = _body(arrival.answer)
    if body is None:
        status, body = 500, _server_error("The engine's answer was not a JSON object.")
    if _is_worth_a_retry(status) and attempts < rule.max_attempts:
        backoff = min(rule.backoff_seconds * 2 ** (attempts - 1), MAX_BACKOFF_SECONDS)
        return ScheduledRetry(arrival.line.line, attempts, now + backoff)
    return _settled(batch_id, arrival, status, body, attempts)


def _is_worth_a_retry(status: int) -> bool:
    return status >= 500 or status in _RETRIED_REFUSALS


def _body(answer: EngineAnswer) -> dict[str, Any] | None:
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _server_error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "server_error", "param": None, "code": "server_error"}}


def _settled(
    batch_id: str, arrival: ArrivedAnswer, status: int, body: dict[str, Any], attempts: int
) -> FinalAnswer:
    line, facts, done = arrival.line, read_facts(body), status == 200
    outcome = Outcome(
        line=line.line,
        custom_id=line.custom_id,
        status=RequestStatus.COMPLETED if done else RequestStatus.FAILED,
        attempts=attempts,
        started_at=arrival.started_at,
        status_code=status,
        error_code=None if done else facts.error_code or str(status),
        finish_reason=facts.finish_reason,
        input_tokens=facts.input_tokens,
        cached_tokens=facts.cached_tokens,
        output_tokens=facts.output_tokens,
        reasoning_tokens=facts.reasoning_tokens,
        dead_letter=None if done else facts.error_message or f"HTTP {status}",
    )
    text = answer_line(
        batch_id=batch_id,
        line=line.line,
        custom_id=line.custom_id,
        request_id=ids.request_id(batch_id, line.line),
        status=status,
        body=body,
        from_cache=arrival.answer.from_cache,
    )
    if arrival.answer.from_cache:
        outcome = _uncomputed(outcome, attempts=line.attempts, from_cache=True)
    return FinalAnswer("output" if done else "error", text, outcome)


def _uncomputed(outcome: Outcome, **own: Any) -> Outcome:
    """It took no time and cost no tokens."""
    free: dict[str, Any] = dict.fromkeys(_TOKENS, 0)
    return replace(outcome, started_at=None, **free, **own)


def copy_answer(batch_id: str, original: FinalAnswer, line: FetchedRequest) -> FinalAnswer:
    """The end of a line that must get the same answer as another: the same, but nothing was computed for it."""
    outcome = _uncomputed(
        original.outcome, line=line.line, custom_id=line.custom_id, attempts=0, from_cache=False
    )
    text = repeated_line(original.text, batch_id=batch_id, line=line.line, custom_id=line.custom_id)
    return FinalAnswer(original.kind, text, outcome)


def give_up(
    batch_id: str, line: FetchedRequest, *, code: str, message: str, status: RequestStatus
) -> FinalAnswer:
    """The end of a line that gets no answer. Only one that failed by its own doing is a dead letter."""
    failed_alone = status is RequestStatus.FAILED and code == ENGINE_CRASHED
    outcome = Outcome(
        line=line.line,
        custom_id=line.custom_id,
        status=status,
        attempts=line.attempts,
        started_at=None,
        error_code=code,
        dead_letter=message if failed_alone else None,
    )
    text = unanswered_line(
        batch_id=batch_id, line=line.line, custom_id=line.custom_id, code=code, message=message
    )
    return FinalAnswer("error", text, outcome)


ENGINE_CRASHED = "engine_crashed"
