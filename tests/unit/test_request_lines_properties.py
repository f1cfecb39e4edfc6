"""Any bytes are a request or a list of their errors, and a request reaches the engine whole."""

from unicodedata import category

import orjson
from hypothesis import assume, given
from hypothesis import strategies as st

from batch_app.input.request_lines import (
    ENDPOINTS,
    MAX_CUSTOM_ID,
    LineError,
    ParsedRequest,
    check_line,
    engine_body,
)

BIG = 2**63 - 1
scalars = st.none() | st.booleans() | st.integers(-BIG, BIG) | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
bodies = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": st.just([{"role": "user", "content": "?"}]) | values},
    optional={
        "stream": st.sampled_from([False, None, True]),
        "stream_options": values,
        "input": values,
        "extra": values,
        "image_url": values,
    },
)
lines = st.fixed_dictionaries(
    {"body": bodies | values},
    optional={
        "custom_id": st.text(min_size=1, max_size=20) | values,
        "method": st.just("POST") | values,
        "url": st.sampled_from(sorted(ENDPOINTS)) | values,
        "unheard_of": values,
    },
)
requests = st.fixed_dictionaries(
    {
        "custom_id": st.text(min_size=1, max_size=20),
        "method": st.just("POST"),
        "url": st.just("/v1/chat/completions"),
        "body": bodies,
    }
)


@st.composite
def damaged_lines(draw: st.DrawFn) -> bytes:
    """A line with a few bytes cut out and others put in."""
    raw = orjson.dumps(draw(lines))
    start = draw(st.integers(0, len(raw)))
    return raw[:start] + draw(st.binary(max_size=4)) + raw[start + draw(st.integers(0, 4)) :]


@given(raw=st.binary() | lines.map(orjson.dumps) | damaged_lines(), model_given=st.booleans())
def test_whatever_the_bytes_a_line_is_a_request_or_says_what_is_wrong(
    raw: bytes, *, model_given: bool
) -> None:
    found = check_line(raw, 7, model_given=model_given)
    if isinstance(found, ParsedRequest):
        assert 0 < len(found.custom_id) <= MAX_CUSTOM_ID
        assert not any(category(character) == "Cc" for character in found.custom_id)
        assert found.url in ENDPOINTS
        assert model_given or found.model
    else:
        assert found.errors
        assert all(isinstance(error, LineError) and error.line == 7 for error in found.errors)
        assert all(error.code and error.message and "\n" not in error.message for error in found.errors)
        assert found.custom_id is None or 0 < len(found.custom_id) <= MAX_CUSTOM_ID


@given(line=requests)
def test_what_is_accepted_reaches_the_engine_whole(line: dict[str, object]) -> None:
    raw = orjson.dumps(line)
    assume(isinstance(check_line(raw, 1, model_given=False), ParsedRequest))
    expected = {**orjson.loads(raw)["body"], "model": "served"}
    expected.pop("stream", None)
    expected.pop("stream_options", None)
    assert orjson.loads(engine_body(raw, model="served")) == expected
