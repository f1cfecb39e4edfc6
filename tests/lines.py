"""Input files for tests."""

import json
from collections.abc import Iterable
from typing import Any


def chat_line(custom_id: str, text: str = "Evaluate this candidate", **body: Any) -> dict[str, Any]:
    """One well-formed request; keyword arguments go into its body."""
    messages = [{"role": "user", "content": text}]
    body = {"model": "gpt-4", "messages": messages, **body}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}


def chat_lines(count: int, text: str = "Evaluate candidate {}") -> list[dict[str, Any]]:
    """Requests `candidate-0` … with texts of their own."""
    return [chat_line(f"candidate-{i}", text.format(i)) for i in range(count)]


def jsonl(lines: Iterable[Any]) -> bytes:
    """Values become JSON lines; bytes stay as they are."""
    return b"".join(
        (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines
    )
