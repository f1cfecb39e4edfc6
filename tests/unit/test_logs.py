"""What is logged: an action and its ids, for a person or for a program."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from batch_app.logs import JsonFormatter, TextFormatter, set_up_logging


@pytest.fixture
def ours() -> Iterator[logging.Logger]:
    """The project's logger, put back as it was."""
    logger = logging.getLogger("batch_app")
    before = logger.handlers[:], logger.level, logger.propagate
    yield logger
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


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
def test_everything_goes_to_stderr_once(
    ours: logging.Logger, log_format: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        set_up_logging(log_format)
    logging.getLogger("batch_app.somewhere").info("batch_claimed", extra={"batch_id": "batch_a"})
    logging.getLogger("batch_app.somewhere").debug("nothing_worth_telling")
    written = capsys.readouterr()
    assert written.out == ""
    assert len(written.err.splitlines()) == 1
    assert "batch_claimed" in written.err
    assert written.err.startswith("{") == (log_format == "json")
