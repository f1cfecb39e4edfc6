"""What the body of a request cannot make an engine do. The lines are refused at the door: nothing is stored."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from batch_app.input import body_rules
from batch_app.input.request_lines import engine_body
from tests.api.errors import bad_lines
from tests.api.served import Api
from tests.lines import chat_line
from tests.security.hostile_constraints import KINDS

FOREIGN = [
    "http://127.0.0.1:4080/v1/batches", "http://127.1/", "http://0/", "http://2130706433/", "http://[::1]/",
    "http://[::ffff:127.0.0.1]/", "http://localhost/", "http://localhost.evil.example/", "http://10.0.0.1/",
    "http://192.168.0.1/", "http://169.254.169.254/latest/meta-data/", "http://metadata.google.internal/",
    "https://example.com/redirects-to-localhost.png", "HTTPS://EXAMPLE.COM/cat.png", "//example.com/cat.png",
    "file:///etc/passwd", "FILE:///etc/passwd", "/etc/passwd", "../../etc/passwd", "ftp://host/a", "gopher://host/a",
    "data", "Data:image/png;base64,AAAA", " data:image/png;base64,AAAA", "\thttp://host/", "http:/host/", "x:data:,",
]  # fmt: skip
URLS = [
    "/v1/chat/completions/", "//v1/chat/completions", "/v1//chat/completions", "/v1/chat/completions?stream=true",
    "/v1/chat/completions#x", "/v1/chat/completions;x", "/V1/chat/completions", "/v1/chat%2fcompletions",
    "/v1/chat/%63ompletions", "/v1/chat/completions%00", "/v1/chat/completions\n", " /v1/chat/completions",
    "/v1/chat/completions/../../pause", "/v1/./chat/completions", "\\v1\\chat\\completions", "v1/chat/completions",
    "http://localhost/v1/chat/completions", "https://evil.example/v1/chat/completions", "//evil.example/v1/completions",
    "/pause", "/sleep", "/update_weights", "/tokenize", "/invocations", "/v1/load_lora_adapter", "/load", "/metrics",
    "/collective_rpc", "/reset_prefix_cache", "/inference/v1/generate", "/pooling", "/v1/audio/transcriptions",
    "/v1/chat/completions\u200b", "/v1/ch\u0430t/completions", "", "/",
]  # fmt: skip


def part(kind: str, value: Any) -> dict[str, Any]:
    """A body with one content part."""
    return {"messages": [{"role": "user", "content": [{"type": kind, kind: value}]}]}


def shapes(address: str) -> list[dict[str, Any]]:
    """Every place in a body from which vLLM would load media."""
    return [
        part("image_url", {"url": address}),
        part("image_url", address),
        part("audio_url", {"url": address}),
        part("video_url", {"url": address}),
        {"messages": [{"role": "user", "content": [{"image_url": address, "uuid": "1"}]}]},
        {"messages": [{"role": "tool", "content": [{"type": "image_url", "image_url": {"url": address}}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": address}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": address}]}]},
        {"input": [{"type": "computer_call_output", "output": {"image_url": address}}]},
        {"query": {"content": [{"type": "image_url", "image_url": {"url": address}}]}},
        {"documents": [{"content": [{"type": "video_url", "video_url": {"url": address}}]}]},
    ]


def refused(body: dict[str, Any], *, allow_grammars: bool = False) -> list[tuple[str, str]]:
    """(code, path) of everything that is refused."""
    return [(code, path) for code, _, path in body_rules.problems(body, allow_grammars=allow_grammars)]


def test_media_is_never_fetched_from_anywhere_however_it_is_written() -> None:
    for address in FOREIGN:
        for body in shapes(address):
            assert refused(body) == [("invalid_request", "body")], (address, body)
    for body in shapes("data:image/png;base64,AAAA"):
        assert refused(body) == []


def test_a_line_with_foreign_media_is_refused_with_its_number(api: Api) -> None:
    lines = [chat_line("good"), chat_line("bad", **part("image_url", {"url": FOREIGN[0]}))]
    assert bad_lines(api.submit(lines)) == [(2, "body", "invalid_request")]
    assert api.has_stored_nothing()


def test_a_url_off_the_list_is_refused_however_it_is_written(api: Api) -> None:
    lines = [{**chat_line(f"line-{i}"), "url": url} for i, url in enumerate(URLS)]
    assert bad_lines(api.submit(lines)) == [(n, "url", "invalid_url") for n in range(1, len(URLS) + 1)]
    assert api.has_stored_nothing()


@pytest.mark.parametrize(
    "body",
    [
        {"chat_template": "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}"},
        {"mm_processor_kwargs": {"size": {"longest_edge": 10**9}}},
        {"media_io_kwargs": {"video": {"num_frames": -1}}},
        {"kv_transfer_params": {"remote_host": "10.0.0.1"}},
        {"ec_transfer_params": {"remote_host": "10.0.0.1"}},
        {"prompt_embeds": "AAAA"},
        {"background": True},
    ],
)
def test_what_would_reach_behind_the_engine_is_refused(body: dict[str, Any]) -> None:
    assert refused(body) == [("unsupported_parameter", f"body.{next(iter(body))}")]
    assert refused(dict.fromkeys(body)) == []  # null is as good as absent


@pytest.mark.parametrize("name", ["n", "best_of"])
@pytest.mark.parametrize("value", [129, 16_384, 10**30, 0, -1, "16384", 16_384.0, 1.0, True, [2]])
def test_one_line_cannot_be_thousands_of_requests(name: str, value: Any) -> None:
    """vLLM would take the text and the float for whole numbers."""
    assert refused({name: value}) == [("invalid_value", f"body.{name}")]
    assert refused({name: body_rules.MAX_SEQUENCES}) == refused({name: None}) == []


def test_the_last_of_two_equal_keys_counts_for_the_check_and_the_engine_alike(api: Api) -> None:
    raw = orjson.dumps(chat_line("a", n=1))
    hostile = raw.replace(b'"n":1', b'"n":1,"n":9999')
    assert hostile != raw
    assert bad_lines(api.submit(hostile)) == [(1, "body.n", "invalid_value")]
    harmless = raw.replace(b'"n":1', b'"n":9999,"n":1')
    assert b"9999" not in engine_body(harmless, model="m")


def test_a_line_cannot_choose_its_request_id() -> None:
    raw = orjson.dumps(chat_line("a", request_id="batch_req_somebody_else\nforged log line"))
    assert b"request_id" not in engine_body(raw, model="m")


LARGE = {"enum": ["x" * 100] * 1000}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": LARGE}}},
            "body.response_format",
        ),
        ({"structured_outputs": {"json": LARGE}}, "body.structured_outputs"),
        ({"structured_outputs": {"regex": "a" * 100_000}}, "body.structured_outputs"),
        ({"structured_outputs": {"choice": ["x" * 100] * 1000}}, "body.structured_outputs"),
        ({"text": {"format": {"type": "json_schema", "schema": LARGE}}}, "body.text.format"),
        ({"tools": [{"function": {"parameters": LARGE}}], "tool_choice": "required"}, "body.tools"),
    ],
)
def test_a_schema_or_regex_past_the_limit_is_refused_with_its_size(body: dict[str, Any], path: str) -> None:
    assert refused(body) == [("constraint_too_large", path)]


def test_a_schema_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(body_rules.MAX_DEPTH):
        schema = {"items": schema}
    assert refused({"structured_outputs": {"json": schema}}) == [("invalid_request", "body")]


@pytest.mark.parametrize(
    "body",
    [
        {"structured_outputs": {"grammar": "start: s\ns: s s | /a/"}},
        {"structured_outputs": {"structural_tag": "{}"}},
        {"response_format": {"type": "structural_tag", "format": {}}},
    ],
)
def test_free_grammars_are_for_operators_who_allow_them(
    serve: Callable[..., Api], body: dict[str, Any]
) -> None:
    assert refused(body) == [("unsupported_parameter", f"body.{next(iter(body))}")]
    assert refused(body, allow_grammars=True) == []
    assert serve(allow_grammars=True).submit([chat_line("a", **body)]).status_code == 200


def test_the_hostile_constraints_of_the_engines_test_pass_the_door() -> None:
    """Else that test would say nothing about the engine."""
    assert [refused(body) for body in KINDS] == [[]] * len(KINDS)
