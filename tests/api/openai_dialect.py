"""OpenAI's way to a batch: upload a file, name it in a JSON body, ask again until the batch has ended."""

import json
from typing import Any

import httpx

from tests.api.served import Api
from tests.lines import chat_lines, jsonl

CHAT = "/v1/chat/completions"


def upload(
    api: Api,
    content: Any = 2,
    *,
    filename: str = "requests.jsonl",
    headers: dict[str, str] | None = None,
    **fields: str,
) -> httpx.Response:
    """`content`: a number of simple requests, the requests themselves, or bytes."""
    if isinstance(content, int):
        content = chat_lines(content)
    if not isinstance(content, bytes):
        content = jsonl(content)
    files = {"file": (filename, content)}
    return api.post("/v1/files", files=files, data={"purpose": "batch", **fields}, headers=headers)


def uploaded(api: Api, content: Any = 2, **fields: str) -> Any:
    """The object of a file that was just uploaded."""
    answer = upload(api, content, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def order(file_id: str, **changes: Any) -> dict[str, Any]:
    """What a client posts to have a batch made."""
    return {"input_file_id": file_id, "endpoint": CHAT, "completion_window": "24h", **changes}


def create(
    api: Api, file_id: str, *, headers: dict[str, str] | None = None, **changes: Any
) -> httpx.Response:
    return api.post("/v1/batches", json=order(file_id, **changes), headers=headers)


def created(api: Api, content: Any = 2, **changes: Any) -> Any:
    """The answer to the creation of a batch of a file that was just uploaded."""
    answer = create(api, uploaded(api, content)["id"], **changes)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ended(api: Api, content: Any = 2, **changes: Any) -> Any:
    """A batch that was created and worked on to its end."""
    batch_id = created(api, content, **changes)["id"]
    api.work()
    return api.batch(batch_id)


def cancel(api: Api, batch_id: str) -> httpx.Response:
    return api.post(f"/v1/batches/{batch_id}/cancel")


def lines_of(api: Api, file_id: str) -> list[Any]:
    """The lines of an output or error file."""
    answer = api.get(f"/v1/files/{file_id}/content")
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.content.splitlines()]
