"""Schemas and regexes that the engine gives up on: each such line fails at once, and a batch may have few of them.

An engine works a constraint out while it answers, up to limits of its own; one that is made to be hard costs it up to
seconds, and then an error that another attempt would only repeat. When a batch has had its share of these, its lines
with constraints that have not worked yet are refused unasked. An error at one that has worked is like any other error.
Rebuilt empty after a crash.
"""

import logging
from typing import Final

import orjson

from batch_app.inference.asgi_exchange import error_body
from batch_app.inference.engine import EngineAnswer

log = logging.getLogger(__name__)

MOST_FAILURES: Final = 10
_MOST_PROVEN: Final = 10_000  # 16 bytes each


class ConstraintFailures:
    """Of one run. `key` identifies a request's constraint (`bodies.constraint_key`), None for one without."""

    def __init__(self) -> None:
        self._failures = 0
        self._proven: set[bytes] = set()

    def refusal(self, key: bytes | None) -> EngineAnswer | None:
        """The answer to a line that the engine need not be asked."""
        if key is None or key in self._proven or self._failures < MOST_FAILURES:
            return None
        message = (
            f"The engine gave up on {MOST_FAILURES} requests of this batch whose schema, regex or choices were too "
            "hard; this one has another that has not worked yet, and was not tried."
        )
        return EngineAnswer(400, error_body(400, message, code="constraint_not_tried"))

    def judge(self, key: bytes | None, answer: EngineAnswer, *, batch_id: str) -> EngineAnswer:
        """The engine's answer, or what an error of the engine means for a line whose constraint has never worked."""
        if key is None or key in self._proven or answer.status_code < 500:
            if key is not None and answer.status_code == 200 and len(self._proven) < _MOST_PROVEN:
                self._proven.add(key)
            return answer
        self._failures += 1
        if self._failures == MOST_FAILURES:
            log.warning("constraints_given_up", extra={"batch_id": batch_id, "failures": self._failures})
        message = f"The engine gave up on this request's schema, regex or choices: {_said(answer)}"
        return EngineAnswer(400, error_body(400, message, code="constraint_failed"))


def _said(answer: EngineAnswer) -> str:
    error = orjson.loads(answer.body).get("error")
    return str(error.get("message") if isinstance(error, dict) else error)
