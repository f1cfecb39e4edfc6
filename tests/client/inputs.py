"""Inputs for the client's tests. The echo engine repeats the text, so every answer can be told from every
other.
"""

import json
from pathlib import Path
from typing import Any


def line(custom_id: str, *, text: str = "Evaluate", url: str = "/v1/chat/completions") -> str:
    body = {"messages": [{"role": "user", "content": text}]}
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body})


def write_input(path: Path, count: int, *, texts: dict[int, str] | None = None) -> Path:
    """`count` requests whose texts name the file, so that no two inputs of a test run are the same."""
    rows = [
        line(f"candidate-{n}", text=f"{path} {n} {(texts or {}).get(n, '')}") for n in range(1, count + 1)
    ]
    path.write_text("".join(f"{row}\n" for row in rows))
    return path


def custom_ids(path: Path) -> list[str]:
    return [json.loads(row)["custom_id"] for row in path.read_text().splitlines()]


def state_of(source: Path) -> dict[str, Any]:
    found = json.loads((results_folder(source) / f"{source.name}.batches.json").read_text())
    assert isinstance(found, dict)
    return found


def results_folder(source: Path) -> Path:
    return source.with_name(f"{source.stem}.results")


def assert_every_answer_is_home(source: Path, count: int) -> None:
    """Each request exactly once, in the order of the input, with its own answer."""
    results = results_folder(source) / "results.jsonl"
    assert custom_ids(results) == [f"candidate-{n}" for n in range(1, count + 1)]
    for number, row in enumerate(results.read_text().splitlines(), start=1):
        text = json.loads(row)["response"]["body"]["choices"][0]["message"]["content"]
        assert text.split()[:2] == [str(source), str(number)]
    assert (results_folder(source) / "errors.jsonl").read_bytes() == b""
