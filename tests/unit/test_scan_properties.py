"""Any bytes may be uploaded: the copy is exact, and what the index points at is what was accepted."""

import hashlib
import io

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from batch_app.input.request_lines import ParsedRequest, check_line
from batch_app.input.scan import MAX_REPORTED_ERRORS, ScanOptions, scan
from tests.lines import chat_line

LINE_BYTES = 250

good = st.builds(chat_line, st.sampled_from("abcdef"), st.text(max_size=60)).map(orjson.dumps)
junk = (
    st.binary(max_size=20)
    | st.just(b"x" * (LINE_BYTES + 5))
    | st.sampled_from([b"", b" ", b"\t", b"\xef\xbb\xbf"])
)
endings = st.sampled_from([b"\n", b"\r\n", b"", b"\n\n"])
contents = st.lists(st.tuples(good | junk, endings).map(b"".join), max_size=12).map(b"".join)


@given(content=st.binary() | contents, max_requests=st.integers(1, 12))
@example(content=b"\xef\xbb\xbf" + orjson.dumps(chat_line("a")), max_requests=1)
def test_whatever_is_uploaded_the_index_points_at_exactly_what_was_accepted(
    content: bytes, max_requests: int
) -> None:
    copy = io.BytesIO()
    found = scan(io.BytesIO(content), ScanOptions(max_requests, LINE_BYTES), copy_to=copy)

    assert copy.getvalue() == content
    assert (found.bytes, found.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    for line in found.lines:
        text = content[line.offset : line.offset + line.length]
        request = check_line(text, line.line, model_given=False)
        assert isinstance(request, ParsedRequest)
        assert request.custom_id == line.custom_id
        assert b"\n" not in text
        assert line.line == content[: line.offset].count(b"\n") + 1

    assert len({line.custom_id for line in found.lines}) == len(found.lines)
    wrong = {error.line for error in found.errors}
    assert len(found.lines) + len(wrong) == min(found.total_lines, max_requests)
    assert wrong.isdisjoint(line.line for line in found.lines)
    assert len(found.errors) == min(found.total_errors, MAX_REPORTED_ERRORS)
