"""What is logged: an action and its ids, for a person or for a program."""

import ast
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from batch_app.logs import JsonFormatter, TextFormatter, set_up_logging
from batch_app.settings import PROJECT_DIR


def record(action: str, *, error: Exception | None = None, **fields: Any) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": action, "levelname": "INFO", **fields})
    made.exc_info = (type(error), error, None) if error else None
    return made


def test_a_person_reads_the_action_and_then_its_ids() -> None:
    line = TextFormatter().format(record("batch_claimed", batch_id="batch_a", epoch=3))
    assert line.endswith("info    batch_claimed  batch_id=batch_a  epoch=3")


def test_a_program_reads_one_json_object_a_line() -> None:
    line = JsonFormatter().format(record("batch_claimed", batch_id="batch_a", epoch=3, reason="two\nlines"))
    assert "\n" not in line
    row = json.loads(line)
    assert (row["action"], row["level"]) == ("batch_claimed", "info")
    assert (row["batch_id"], row["epoch"], row["reason"]) == ("batch_a", 3, "two\nlines")
    assert isinstance(row["at"], float)


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_what_is_unknown_is_left_out_and_zero_is_not(formatter: logging.Formatter) -> None:
    line = formatter.format(record("batch_ended", code="", worker_id=None, answers=0))
    assert "code" not in line
    assert "worker_id" not in line
    assert "answers" in line


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_crash_is_logged_with_its_traceback(formatter: logging.Formatter) -> None:
    assert "ValueError: wrong" in formatter.format(record("turn_failed", error=ValueError("wrong")))


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_everything_goes_to_stderr_once(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        set_up_logging(log_format)
    logging.getLogger("batch_app.somewhere").info("batch_claimed", extra={"batch_id": "batch_a"})
    logging.getLogger("batch_app.somewhere").debug("nothing_worth_telling")
    written = capsys.readouterr()
    assert written.out == ""
    assert len(written.err.splitlines()) == 1
    assert "batch_claimed" in written.err
    assert written.err.startswith("{") == (log_format == "json")


def test_nothing_that_a_client_chooses_begins_a_line_or_colours_the_terminal() -> None:
    path = "/v1/\n10:00:00 info    batch_ended\x1b[31m\u2028"
    line = TextFormatter().format(record("request_refused", path=path))
    assert line.isprintable()
    assert "\\n10:00:00" in line
    assert "Grüße" in TextFormatter().format(record("request_refused", path="Grüße"))


# What can hold a prompt, an answer or a key has no place in a log line.
FORBIDDEN = {
    *(
        "prompt",
        "messages",
        "answer",
        "text",
        "content",
        "body",
        "line_text",
        "custom_id",
        "metadata",
        "filename",
    ),
    *("key", "api_key", "secret", "authorization", "headers", "query", "settings"),
}


def _log_calls() -> Iterator[tuple[str, ast.Call]]:
    for path in [*(PROJECT_DIR / "batch_app").rglob("*.py"), PROJECT_DIR / "serve_results.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                logger = node.func.value
                is_logger = isinstance(logger, ast.Name) and logger.id in ("log", "_log")
                if is_logger and node.func.attr in ("debug", "info", "warning", "error", "exception"):
                    yield f"{path.name}:{node.lineno}", node


def test_every_log_call_has_a_constant_action_and_no_field_that_can_hold_a_prompt() -> None:
    calls = list(_log_calls())
    assert len(calls) > 40
    for place, call in calls:
        [action] = call.args
        if isinstance(action, ast.Constant):
            assert re.fullmatch(r"[a-z]+(_[a-z]+)*", action.value), place
        else:
            assert isinstance(action, ast.Name), f"{place}: only a name chosen from constants may stand here"
        extras = [keyword.value for keyword in call.keywords if keyword.arg == "extra"]
        named = {
            key.value
            for extra in extras
            if isinstance(extra, ast.Dict)
            for key in extra.keys
            if isinstance(key, ast.Constant)
        }
        assert not named & FORBIDDEN, f"{place}: {named & FORBIDDEN}"
