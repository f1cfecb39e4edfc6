"""Why vLLM could not load a model, in one line.

vLLM loads in child processes. What they raise ends in their log, and the parent learns only that "engine core
initialization failed". A log handler, installed in the children through vLLM's own logging configuration,
writes the exceptions to a file while the model loads; the first of them is the cause.
"""

import json
import logging
import os
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

from batch_app.inference.engine import ModelLoadError

_LONGEST_REASON = 600
_NOISE = re.compile(r"\[type=\w+, input_value=.*?\]|For further information visit \S+", re.DOTALL)
_GENERIC = re.compile("(Engine core|WorkerProc) initialization failed")
_NOTHING_MORE = "a process of the engine ended without saying why, most likely because memory ran out"
_REMOTE_CODE = "the model needs code from its own repository (trust_remote_code), which is refused here"
_OUT_OF_MEMORY = re.compile(r"out of memory|OutOfMemory", re.IGNORECASE)
_MEMORY_HINT = "; use a smaller max_model_len, max_num_seqs or model, or free memory"


class CauseHandler(logging.Handler):
    """Appends each logged exception to `path`, as long as that file exists."""

    def __init__(self, path: str) -> None:
        super().__init__(logging.ERROR)
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        except FileNotFoundError:  # loading is over
            return
        with os.fdopen(handle, "w") as causes:
            causes.write(json.dumps([type(error).__name__, str(error)]) + "\n")


class FailureLog:
    """What the processes of one load raised, in a folder that is removed when loading is over."""

    def __init__(self, folder: Path) -> None:
        self._causes = folder / "causes"
        self._causes.touch()
        self._config = folder / "logging.json"

    def option(self, logging_config: dict[str, Any]) -> str:
        """vLLM's command line option that adds a CauseHandler to its logging configuration."""
        config = deepcopy(logging_config)
        config["handlers"]["causes"] = {
            "()": f"{__name__}.{CauseHandler.__name__}",
            "path": str(self._causes),
        }
        config["loggers"]["vllm"]["handlers"].append("causes")
        self._config.write_text(json.dumps(config))
        return "--logging-config=" + json.dumps({"pylogging_config_file": str(self._config)})

    def reason(self, error: BaseException) -> str:
        """One line for a person: what a child logged first, else what was raised here."""
        text = self._first_cause() or _said(error)
        if "trust_remote_code" in text and not isinstance(error, ModelLoadError):
            return _REMOTE_CODE
        if _GENERIC.search(text):
            return _NOTHING_MORE
        line = " ".join(_NOISE.sub("", text).split()).rstrip(".")
        short = line if len(line) <= _LONGEST_REASON else line[:_LONGEST_REASON] + "…"
        return short + _MEMORY_HINT if _OUT_OF_MEMORY.search(line) else short

    def _first_cause(self) -> str | None:
        for line in self._causes.read_text().splitlines():
            kind, message = json.loads(line)
            if not _GENERIC.search(message):
                return f"{kind}: {message}"
        return None


def _said(error: BaseException) -> str:
    """The error with the innermost error it stems from: that a hub cannot be reached does not say why."""
    innermost = error
    while inner := innermost.__cause__ or innermost.__context__:
        innermost = inner
    said, root = str(error), str(innermost)
    if not isinstance(error, ModelLoadError):
        said = f"{type(error).__name__}: {said}"
    return said if root in said else f"{said} ({root})"
