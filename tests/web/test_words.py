"""The pages and the server read the same words, and the same JSON, out of an answer."""

import json
import subprocess
from pathlib import Path
from typing import Any

from batch_app.answer_index.answer_text import answer_text, json_in, leaves

_READER = Path(__file__).parent / "read_answers.mjs"
FENCED = 'Here it is:\n```json\n{"score": 7, "reasons": ["a", "b"]}\n```\nDone.'


def answer(**body: Any) -> dict[str, Any]:
    return {"custom_id": "a", "response": {"status_code": 200, "body": body}, "error": None}


def chat(content: Any, **message: Any) -> dict[str, Any]:
    return answer(choices=[{"message": {"content": content, **message}}])


ROWS = [
    chat("Plain words, größer ☃"),
    chat('{"score": 7}'),
    chat(FENCED),
    chat('Before {"a": {"b": [1, 2]}} after'),
    chat("{ not JSON }"),
    chat('"only a string"'),
    chat("[1, 2, 3]"),
    chat("7"),
    chat(""),
    chat("```\n[{}]\n```"),
    chat('```JSON  \n{"x": null}```'),
    chat(None, tool_calls=[{"function": {"name": "f", "arguments": "{}"}}]),
    answer(choices=[{"text": "A completion"}]),
    answer(choices=[]),
    answer(output=[{"content": [{"text": "one "}, {"text": "two"}]}, {"type": "reasoning"}]),
    answer(data=[{"embedding": [0.1, 0.2]}]),
    answer(data=[{"score": 0.5}]),
    answer(),
    answer(error={"message": "too long", "code": 400}),
    {"custom_id": "a", "response": None, "error": {"code": "batch_expired", "message": "Not run in time."}},
    {"custom_id": "a", "response": None, "error": {"code": "batch_expired", "message": None}},
]


def test_every_kind_of_answer_is_read_alike() -> None:
    given = "\n".join(json.dumps(row) for row in ROWS)
    done = subprocess.run(["node", str(_READER)], input=given.encode(), capture_output=True, check=True)
    for row, line in zip(ROWS, done.stdout.splitlines(), strict=True):
        text = answer_text(row)
        assert json.loads(line) == {"text": text, "json": json_in(text)}, row


def test_fields_are_named_for_people_and_for_sqlite() -> None:
    value = {
        "a": 1,
        "b c": {"d": ["x", "y"]},
        "deep": {"x": {"y": {"z": 1}}},
        'a "quote"': 2,
        "": 3,
        "none": [],
    }
    assert list(leaves(value)) == [("a", '$."a"', 1), ("b c.d[0]", '$."b c"."d"[0]', "x")]
