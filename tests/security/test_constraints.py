"""A batch made of schemas that the engine gives up on has few of them, and costs its other lines nothing."""

from typing import Any

import orjson
import pytest

from batch_app.inference.echo_engine import EchoEngine
from batch_app.inference.engine import EngineAnswer, EngineRequest
from batch_app.input.body_rules import constraint_key
from batch_app.processing.constraint_failures import MOST_FAILURES
from tests.lines import chat_line
from tests.worker.conftest import Bench, bench, custom_ids, run

__all__ = ["bench"]
FAILS = "[[fail 500]]"


class CountingEngine(EchoEngine):
    asked = 0

    async def answer(self, request: EngineRequest) -> EngineAnswer:
        self.asked += 1
        return await super().answer(request)


def bound(custom_id: str, text: str, schema: Any) -> dict[str, Any]:
    return chat_line(
        custom_id, text, response_format={"type": "json_schema", "json_schema": {"schema": schema}}
    )


def test_after_some_failures_constraints_that_never_worked_are_refused_unasked(bench: Bench) -> None:
    engine = CountingEngine()
    hostile = [bound(f"hostile-{i}", FAILS, {"maxLength": i}) for i in range(40)]
    proven = [bound(f"proven-{i}", "fine", {"type": "string"}) for i in range(5)]
    free = [chat_line(f"free-{i}") for i in range(5)]
    untried = [bound("untried", "fine", {"type": "integer"})]

    async def scenario() -> None:
        bench.with_settings(window=1)
        batch_id = bench.submit([proven[0], *hostile, *proven[1:], *free, *untried], line_order="submission")
        await bench.finish(bench.worker(lambda _spec: engine), batch_id)

        answered = {line["custom_id"] for line in map(dict, bench.output(batch_id))}
        assert answered == {line["custom_id"] for line in [*proven, *free]}
        codes = [line["response"]["body"]["error"]["code"] for line in bench.errors(batch_id)]
        assert codes.count("constraint_failed") == MOST_FAILURES
        assert codes.count("constraint_not_tried") == len(hostile) + len(untried) - MOST_FAILURES
        assert {line["response"]["status_code"] for line in bench.errors(batch_id)} == {400}
        # Each line was tried once: what the engine gives up on it would give up on again.
        assert engine.asked == len(answered) + MOST_FAILURES

    run(scenario())


def test_a_failure_of_a_line_without_a_constraint_is_tried_again_and_counts_against_nobody(
    bench: Bench,
) -> None:
    async def scenario() -> None:
        lines = [chat_line(f"shaky-{i}", "[[flaky 1]]") for i in range(2 * MOST_FAILURES)]
        batch_id = bench.submit([*lines, bound("bound", "fine", {})])
        await bench.finish(bench.worker(), batch_id)
        assert len(custom_ids(bench.output(batch_id))) == len(lines) + 1

    run(scenario())


def test_an_error_at_a_schema_that_has_worked_is_tried_again_like_any_other(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(window=1)
        schema = {"type": "string"}
        lines = [bound("ok", "fine", schema), bound("shaky", "[[flaky 1]]", schema)]
        batch_id = bench.submit(lines, line_order="submission")
        await bench.finish(bench.worker(), batch_id)
        assert bench.ledger(batch_id, "status", "attempts") == [("completed", 1), ("completed", 2)]

    run(scenario())


FORMAT = {"type": "json_schema", "json_schema": {"schema": {}}}


@pytest.mark.parametrize(
    "body",
    [
        {"response_format": FORMAT},
        {"response_format": {"type": "json_object"}},
        {"structured_outputs": {"regex": "a"}},
        {"text": {"format": FORMAT}},
        {"tools": [{}], "tool_choice": "required"},
        {"tools": [{}], "tool_choice": {"type": "function", "function": {"name": "f"}}},
    ],
)
def test_a_constraint_is_found_wherever_the_engine_finds_it(body: dict[str, Any]) -> None:
    assert constraint_key(orjson.dumps(body)) is not None
    assert constraint_key(orjson.dumps({**body, "prompt": "other"})) == constraint_key(orjson.dumps(body))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"response_format": {"type": "text"}},
        {"text": {"format": {"type": "text"}}},
        {"text": "a"},
        {"tools": [{}], "tool_choice": "auto"},
        {"tools": [{}]},
        {"messages": [{"content": [{"text": '"response_format"'}]}]},
    ],
)
def test_a_free_answer_has_no_constraint(body: dict[str, Any]) -> None:
    assert constraint_key(orjson.dumps(body)) is None
