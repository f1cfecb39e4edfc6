"""One line that says why a model did not load."""

import json
import logging
import logging.config
from pathlib import Path

import pytest

from batch_app.inference.engine import ModelLoadError
from batch_app.inference.vllm_failures import FailureLog

VLLM_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {},
    "loggers": {"vllm": {"handlers": [], "propagate": False}},
}
GENERIC = RuntimeError("Engine core initialization failed. See root cause above. Failed core proc(s): {}")


def _log_in_child(failures: FailureLog, error: Exception) -> None:
    """What a child of vLLM does: take over the logging configuration, fail, log it."""
    option = failures.option(VLLM_LOGGING)
    path = json.loads(option.removeprefix("--logging-config="))["pylogging_config_file"]
    logging.config.dictConfig(json.loads(Path(path).read_text()))
    try:
        raise error
    except type(error):
        logging.getLogger("vllm.v1.engine.core").exception("EngineCore failed to start.")


def test_the_first_cause_that_says_something_is_the_reason(tmp_path: Path) -> None:
    failures = FailureLog(tmp_path)
    _log_in_child(failures, ValueError("too\nsmall"))
    _log_in_child(failures, RuntimeError("WorkerProc initialization failed due to an exception"))
    assert failures.reason(GENERIC) == "ValueError: too small"


def test_after_loading_nothing_is_noted_any_more(tmp_path: Path) -> None:
    failures = FailureLog(tmp_path)
    (tmp_path / "causes").unlink()
    _log_in_child(failures, ValueError("later"))
    assert not (tmp_path / "causes").exists()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (GENERIC, "a process of the engine ended without saying why, most likely because memory ran out"),
        (ModelLoadError("vLLM has no engine argument named x"), "vLLM has no engine argument named x"),
        (
            ValueError("Please pass the argument `trust_remote_code=True` to allow custom code to be run."),
            "the model needs code from its own repository (trust_remote_code), which is refused here",
        ),
        (
            RuntimeError("CUDA out of memory."),
            "RuntimeError: CUDA out of memory; use a smaller max_model_len, max_num_seqs or model, or free memory",
        ),
        (
            ValueError("1 error\n  bad [type=value_error, input_value={'a': 1}, input_type=dict]\n"),
            "ValueError: 1 error bad",
        ),
        (ValueError("x" * 1000), "ValueError: " + "x" * 588 + "…"),
    ],
)
def test_errors_are_said_in_one_line(tmp_path: Path, error: Exception, reason: str) -> None:
    assert FailureLog(tmp_path).reason(error) == reason


def test_the_innermost_error_is_said_too(tmp_path: Path) -> None:
    error = OSError("We couldn't connect to the hub")
    error.__cause__ = ConnectionError("Name or service not known")
    reason = FailureLog(tmp_path).reason(error)
    assert reason == "OSError: We couldn't connect to the hub (Name or service not known)"
