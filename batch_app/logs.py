"""Log lines: an action in snake_case, then its ids. Prompts and answers never appear in them.

They go to stderr; keeping, rotating and forwarding them is for whoever started the process: journald, a container.
"""

import json
import logging
import time

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


def set_up_logging(log_format: str) -> None:
    """What this project and its HTTP server log goes to stderr, as text for a person or as one JSON object per line."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    for name in ("batch_app", "uvicorn"):  # the server's few words in the same form
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {
        name: value
        for name, value in vars(record).items()
        if name not in _OWN and not name.startswith("vllm_") and value not in (None, "")
    }


def _one_line(value: object) -> str:
    """No value can make a line of its own, or move the terminal's cursor."""
    text = str(value)
    return text if text.isprintable() else ascii(text)


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%H:%M:%S", time.localtime(record.created))
        fields = "".join(f"  {name}={_one_line(value)}" for name, value in _fields(record).items())
        line = f"{moment} {record.levelname.lower():<7} {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        row = {
            "at": round(record.created, 3),
            "level": record.levelname.lower(),
            "action": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            row["traceback"] = self.formatException(record.exc_info)
        return json.dumps(row, default=str)
