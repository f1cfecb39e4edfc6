"""The ids this system hands out, and the only shapes it takes back. A path is built from a matched id only."""

import re
import secrets
from typing import Final

BATCH_ID: Final = re.compile(r"batch_[0-9a-f]{24}")
FILE_ID: Final = re.compile(r"file-[0-9a-f]{24}")


def new_batch_id() -> str:
    return f"batch_{secrets.token_hex(12)}"


def new_file_id() -> str:
    return f"file-{secrets.token_hex(12)}"


def new_event_id() -> str:
    return f"evt_{secrets.token_hex(12)}"


def new_worker_id() -> str:
    return f"worker_{secrets.token_hex(6)}"


def request_id(batch_id: str, line: int) -> str:
    """The engine's name for a request: never the custom_id, which clients choose."""
    return f"{batch_id}-{line}"
