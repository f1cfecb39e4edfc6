"""The browser checks a line as the server does: same verdict, same codes, same words."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from batch_app.input import body_rules
from batch_app.input.request_lines import ENDPOINTS, RejectedLine, check_line

_ENDPOINT = "/v1/chat/completions"
_CHECKER = Path(__file__).parent / "check_lines.mjs"

_GOOD: dict[str, Any] = {
    "custom_id": "a",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"messages": [{"role": "user", "content": "Hi"}]},
}

_IMAGES = [
    "http://169.254.169.254/",
    {"url": "file:///etc/passwd"},
    {"url": "data:image/png;base64,AA"},
    "",
    5,
]


def _nested(depth: int) -> list[Any]:
    inside: list[Any] = [1]
    for _ in range(depth - 1):
        inside = [inside]
    return inside


_BOUNDED = ["n", "best_of", *body_rules._REFUSED]
_BOUNDS = [None, 0, 1, 128, 129, -1, True, False, "2", "", [], {}, {"a": 1}, [0], 0.5]
_LARGE = {"type": "json_schema", "description": "é" * 40_000}
_CONSTRAINTS: list[dict[str, Any]] = [
    {"response_format": _LARGE},
    {"response_format": {**_LARGE, "type": "text"}},
    {"structured_outputs": {"choice": ["x" * 70_000]}},
    {"text": {"format": _LARGE}},
    {"text": "x" * 70_000},
    *({"tools": [_LARGE], "tool_choice": choice} for choice in (None, "none", "auto", "required", {"a": 1})),
    {"tools": [_LARGE]},
    {"response_format": _LARGE, "n": 0, "chat_template": "x"},
]

_LINES = [
    _GOOD,
    {},
    [],
    "text",
    None,
    {**_GOOD, "custom_id": 7},
    {**_GOOD, "custom_id": True},
    {**_GOOD, "custom_id": ["a"]},
    {**_GOOD, "custom_id": {"a": 1}},
    {**_GOOD, "custom_id": ""},
    {**_GOOD, "custom_id": "x" * 512},
    {**_GOOD, "custom_id": "x" * 513},
    {**_GOOD, "custom_id": "\U0001f40d" * 512},
    {**_GOOD, "custom_id": "tab\there"},
    {**_GOOD, "custom_id": "no\u00a0break"},
    {**_GOOD, "custom_id": "zero\u200bwidth"},
    {**_GOOD, "custom_id": "next\x85line"},
    {**_GOOD, "custom_id": "line\u2028end"},
    {**_GOOD, "custom_id": "naïve — ☃ 候補"},
    {**_GOOD, "method": "GET"},
    {**_GOOD, "method": None},
    {**_GOOD, "url": "/v1/images"},
    {**_GOOD, "url": 5},
    {**_GOOD, "body": "text"},
    {**_GOOD, "body": [1]},
    {**_GOOD, "body": {}},
    {**_GOOD, "body": {"messages": []}},
    *({**_GOOD, "body": {"messages": _nested(depth)}} for depth in (98, 99, 100, 101)),
    {**_GOOD, "body": {"messages": None, "stream": True}},
    *(
        {**_GOOD, "body": {**_GOOD["body"], "stream": stream}}
        for stream in (False, None, 0, "", [], {}, "no", [0])
    ),
    *({**_GOOD, "url": url, "body": {}} for url in ENDPOINTS),
    *({**_GOOD, "body": {**_GOOD["body"], name: value}} for name in _BOUNDED for value in _BOUNDS),
    *({**_GOOD, "body": {**_GOOD["body"], **asked}} for asked in _CONSTRAINTS),
    *(
        {**_GOOD, "body": {"messages": [{"content": [{"type": "image_url", "image_url": image}]}]}}
        for image in _IMAGES
    ),
]

_RAW = [
    b"",
    b"{not json}",
    b"\xff",
    b'{"a": NaN}',
    b'{"a": 1e999}',
    b'{"a": -Infinity}',
    b'{"a": "\\ud800"}',
    b'{"a": "\\ud83d\\ude00"}',
    b'{"a": 1} x',
    b'{"a": 01}',
    b"{'a': 1}",
    b'{"a": "\x01"}',
    json.dumps(_GOOD).encode() + b"  ",
    b'{"custom_id": "first", ' + json.dumps(_GOOD).encode()[1:],
]


def _by_server(line: bytes) -> dict[str, Any]:
    found = check_line(line, 1, model_given=True, endpoint=_ENDPOINT)
    errors = [[e.code, e.message, e.param] for e in found.errors] if isinstance(found, RejectedLine) else []
    return {"accepted": not errors, "errors": errors, "customId": found.custom_id}


def _by_page(lines: list[bytes]) -> list[dict[str, Any]]:
    given = b"".join(base64.b64encode(line) + b"\n" for line in lines)
    done = subprocess.run(["node", str(_CHECKER)], input=given, capture_output=True, check=True)
    return [json.loads(row) for row in done.stdout.splitlines()]


def _assert_same(lines: list[bytes]) -> None:
    for line, page in zip(lines, _by_page(lines), strict=True):
        assert page == _by_server(line), line


def test_known_lines_are_judged_alike() -> None:
    _assert_same([json.dumps(line).encode() for line in _LINES])


def test_bytes_that_are_hardly_json_are_judged_alike() -> None:
    _assert_same(_RAW)


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_media = st.fixed_dictionaries({"image_url": st.sampled_from(_IMAGES), "input": _values})
_FIELDS = ["messages", "prompt", "input", "query", "documents", "stream", "chat_template", "tools"]
_requests = st.fixed_dictionaries(
    {},
    optional={
        "custom_id": st.text(max_size=4) | _values,
        "method": st.sampled_from(["POST", "GET"]) | _values,
        "url": st.sampled_from(list(ENDPOINTS)) | _values,
        "body": st.dictionaries(st.sampled_from(_FIELDS), _values) | _media | _values,
    },
)


@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(st.lists(_requests | _values, min_size=20, max_size=60))
def test_any_line_is_judged_alike(values: list[Any]) -> None:
    _assert_same([json.dumps(value).encode() for value in values])
