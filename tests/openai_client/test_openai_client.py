"""The official `openai` package, unchanged, against the real processes: strict about every response."""

import asyncio
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.lines import chat_line, chat_lines, jsonl
from tests.processes.forked import ForkedSystem, Nursery
from tests.processes.system import MODEL, System
from tests.waiting import wait_until

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def running(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = ForkedSystem(tmp_path_factory.mktemp("openai") / "data", nursery=nursery)
    system.start_api()
    system.start_worker()
    system.wait_for_worker()
    yield system
    system.stop_all()


@pytest.fixture
def client(running: System) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{running.url}/v1", api_key="none", max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


def _upload(client: openai.OpenAI, content: bytes) -> str:
    return client.files.create(file=("requests.jsonl", content), purpose="batch").id


def _create(client: openai.OpenAI, file_id: str, **options: Any) -> Any:
    asked = {"endpoint": "/v1/chat/completions", "completion_window": "24h", **options}
    return client.batches.create(input_file_id=file_id, **asked)


def _ended(client: openai.OpenAI, batch_id: str) -> Any:
    def look() -> Any:
        batch = client.batches.retrieve(batch_id)
        return batch if batch.status in {"completed", "failed", "expired", "cancelled"} else None

    return wait_until(look, what=f"{batch_id} to end", every=0.1)


def _lines(count: int) -> bytes:
    return jsonl([{**line, "body": {**line["body"], "model": MODEL}} for line in chat_lines(count)])


def test_upload_create_poll_and_download(client: openai.OpenAI) -> None:
    uploaded = client.files.create(file=io.BytesIO(_lines(5)), purpose="batch")
    assert (uploaded.status, uploaded.filename, uploaded.purpose) == ("processed", "upload", "batch")
    created = _create(client, uploaded.id, metadata={"name": "spring"})
    assert created.status == "validating"
    assert created.expires_at == created.created_at + 86400
    batch = _ended(client, created.id)
    assert (batch.request_counts.total, batch.request_counts.completed) == (5, 5)
    assert batch.metadata == {"name": "spring"}
    assert batch.usage is not None
    assert batch.usage.output_tokens == 15
    answers = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
    assert sorted(a["custom_id"] for a in answers) == [f"candidate-{i}" for i in range(5)]
    assert batch.error_file_id is None


def test_what_this_system_has_beside_openais_options_goes_into_extra_body(client: openai.OpenAI) -> None:
    lines = [chat_line(name, "the same", model=MODEL, temperature=0) for name in "abc"]
    more = {"order": "submission", "deduplicate": True}
    batch = _ended(client, _create(client, _upload(client, jsonl(lines)), extra_body=more).id)
    assert batch.request_counts.completed == 3
    answers = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
    assert sorted(answer.get("deduplicated_from", "") for answer in answers) == ["", "a", "a"]


def test_the_async_client_does_the_same(running: System) -> None:
    async def scenario() -> None:
        url = f"{running.url}/v1"
        async with openai.AsyncOpenAI(
            base_url=url, api_key="none", max_retries=0, _strict_response_validation=True
        ) as client:
            file = await client.files.create(file=_lines(2), purpose="batch")
            batch = await client.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
            async with asyncio.timeout(60):
                while batch.status != "completed":
                    await asyncio.sleep(0.1)
                    batch = await client.batches.retrieve(batch.id)
            content = await client.files.content(batch.output_file_id or "")
            assert len(content.text.splitlines()) == 2

    asyncio.run(scenario())


def test_five_bad_lines_of_different_kinds_fail_the_batch_with_five_errors(client: openai.OpenAI) -> None:
    lines: list[Any] = [{**line, "body": {**line["body"], "model": MODEL}} for line in chat_lines(95)]
    stream = chat_line("streams", stream=True, model=MODEL)
    no_messages = chat_line("empty", model=MODEL)
    del no_messages["body"]["messages"]
    no_url = chat_line("nowhere", model=MODEL)
    del no_url["url"]
    bad = [b"not json", no_url, stream, no_messages, chat_line("candidate-3", model=MODEL)]
    batch = _ended(client, _create(client, _upload(client, jsonl([*lines, *bad]))).id)
    assert batch.status == "failed"
    assert [(e.code, e.line, e.param) for e in batch.errors.data] == [
        ("invalid_json_line", 96, None),
        ("missing_required_parameter", 97, "url"),
        ("streaming_unsupported", 98, "body.stream"),
        ("invalid_request", 99, "body.messages"),
        ("duplicate_custom_id", 100, "custom_id"),
    ]


def test_an_unknown_file_makes_a_batch_that_failed(client: openai.OpenAI) -> None:
    batch = _ended(client, _create(client, "file-unknown").id)
    assert batch.status == "failed"
    assert (batch.errors.data[0].code, batch.errors.data[0].param) == ("invalid_request", "file_id")


def test_another_url_than_the_endpoint_is_an_error_of_its_line(client: openai.OpenAI) -> None:
    created = _create(client, _upload(client, _lines(2)), endpoint="/v1/completions")
    batch = _ended(client, created.id)
    assert {(e.code, e.param) for e in batch.errors.data} == {("invalid_url", "url")}


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"endpoint": "/v1/images/edits"}, "endpoint"),
        ({"completion_window": "1s"}, "completion_window"),
        ({"metadata": {"tags": ["a"]}}, "metadata.tags"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 1}}, "output_expires_after.seconds"),
        ({"extra_body": {"temperature": 1}}, "temperature"),
    ],
)
def test_a_bad_order_is_a_400_naming_the_parameter(
    client: openai.OpenAI, change: dict[str, Any], param: str
) -> None:
    file_id = _upload(client, _lines(1))
    with pytest.raises(openai.BadRequestError) as refusal:
        _create(client, file_id, **change)
    assert refusal.value.param == param


@pytest.mark.parametrize("content", [b"", b"\n\n", b"hello\nworld\n"], ids=["empty", "blank", "no JSON"])
def test_an_upload_without_any_json_is_refused(client: openai.OpenAI, content: bytes) -> None:
    with pytest.raises(openai.BadRequestError, match=r"Must be \.jsonl"):
        _upload(client, content)


def test_files_are_listed_page_by_page_and_deleted(client: openai.OpenAI) -> None:
    made = [_upload(client, _lines(1)) for _ in range(5)]
    listed = [file.id for file in client.files.list(purpose="batch", limit=2) if file.id in made]
    assert listed == made[::-1]
    oldest_first = [file.id for file in client.files.list(order="asc", limit=3) if file.id in made]
    assert oldest_first == made
    assert client.files.delete(made[0]).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made[0])


def test_batches_are_listed_page_by_page(client: openai.OpenAI) -> None:
    file_id = _upload(client, _lines(1))
    made = [_create(client, file_id).id for _ in range(3)]
    for batch_id in made:
        _ended(client, batch_id)
    assert [batch.id for batch in client.batches.list(limit=1)][:3] == made[::-1]


def test_a_finished_batch_cannot_be_cancelled_and_a_cancelled_one_can_again(client: openai.OpenAI) -> None:
    done = _ended(client, _create(client, _upload(client, _lines(1))).id)
    with pytest.raises(openai.ConflictError) as refusal:
        client.batches.cancel(done.id)
    assert refusal.value.response.headers["x-should-retry"] == "false"

    cancelled = _create(client, _upload(client, _lines(40_000)))
    assert client.batches.cancel(cancelled.id).cancelling_at is not None
    assert _ended(client, cancelled.id).status == "cancelled"
    assert client.batches.cancel(cancelled.id).status == "cancelled"


def test_a_file_and_its_output_expire_when_asked_to(client: openai.OpenAI) -> None:
    lifetime: Any = {"anchor": "created_at", "seconds": 3600}
    file = client.files.create(file=("a.jsonl", _lines(1)), purpose="batch", expires_after=lifetime)
    assert file.expires_at == file.created_at + 3600
    batch = _ended(client, _create(client, file.id, output_expires_after=lifetime).id)
    output = client.files.retrieve(batch.output_file_id)
    assert output.expires_at is not None
    assert 3595 <= output.expires_at - output.created_at <= 3605


def test_the_same_idempotency_key_gives_the_same_batch(client: openai.OpenAI) -> None:
    file_id = _upload(client, _lines(1))
    headers = {"Idempotency-Key": "once"}
    first, again = (_create(client, file_id, extra_headers=headers) for _ in range(2))
    assert first.id == again.id
    with pytest.raises(openai.UnprocessableEntityError):
        _create(client, file_id, extra_headers=headers, metadata={"other": "yes"})


def test_a_retried_batch_is_one_of_openais_too(client: openai.OpenAI, running: System) -> None:
    lines = [chat_line("good", model=MODEL), chat_line("bad", "[[fail 400]]", model=MODEL)]
    parent = _ended(client, _create(client, _upload(client, jsonl(lines))).id)
    answer = httpx.post(f"{running.url}/v1/batches/{parent.id}/retry")
    assert answer.status_code == 200, answer.text
    child = _ended(client, answer.json()["batch_id"])
    assert (child.status, child.completion_window) == ("completed", "24h")
    assert child.expires_at == child.created_at + 86400
    assert child.request_counts.failed == 1


Call = Callable[[openai.OpenAI], Any]


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.batches.retrieve("batch_none"),
        lambda client: client.batches.cancel("batch_none"),
        lambda client: client.files.content("file-none"),
        lambda client: client.files.delete("../../etc/passwd"),
    ],
)
def test_what_does_not_exist_is_not_found(client: openai.OpenAI, call: Call) -> None:
    with pytest.raises(openai.NotFoundError):
        call(client)


def _blocks_of_the_readme(language: str, word: str) -> list[str]:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    blocks = [
        block.removeprefix(f"{language}\n") for block in readme.split("```") if block.startswith(language)
    ]
    return [block for block in blocks if word in block]


def _run_the_readme(running: System, folder: Path, requests: str) -> str:
    """The example in Python on these requests; what it printed."""
    (folder / "requests.jsonl").write_text(requests)
    [example] = _blocks_of_the_readme("python", "openai")
    script = folder / "example.py"
    script.write_text(example.replace("http://localhost:4080", running.url))
    before = running.log.stat().st_size
    process = running.start(str(script), cwd=folder)
    assert process.wait(timeout=120) == 0, running.log.read_text()[-2000:]
    return running.log.read_bytes()[before:].decode()


def test_the_example_line_of_the_readme_is_answered_through_its_example_in_python(
    running: System, tmp_path: Path
) -> None:
    [line] = _blocks_of_the_readme("json", '"method": "POST"')
    assert "completed" in _run_the_readme(running, tmp_path, line)
    [answer] = (tmp_path / "results.jsonl").read_text().splitlines()
    assert json.loads(answer)["custom_id"] == json.loads(line)["custom_id"]


def test_the_example_in_python_says_what_is_wrong_with_a_file(running: System, tmp_path: Path) -> None:
    printed = _run_the_readme(running, tmp_path, json.dumps(chat_line("a", model=None)))
    assert "'body.model' must name a model." in printed
    assert not (tmp_path / "results.jsonl").exists()
