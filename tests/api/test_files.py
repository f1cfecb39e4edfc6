"""Files: OpenAI's file object, and downloads that can be resumed, checked and cached."""

import asyncio
import time

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batch_app.database import Database
from batch_app.store import batches, files
from batch_app.store.batches import Batch
from tests.api.errors import error_of
from tests.api.served import Api
from tests.lines import chat_lines, jsonl

CONTENT = jsonl(chat_lines(3))
UNKNOWN = f"file-{'0' * 24}"


@pytest.fixture
def file_id(api: Api) -> str:
    """An uploaded file."""
    return str(api.submit(CONTENT).json()["input_file_id"])


def content(api: Api, file_id: str, method: str = "GET", **headers: str) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.call(method, f"/v1/files/{file_id}/content", headers=names)


def test_an_upload_is_a_file_object(api: Api, file_id: str) -> None:
    file = api.get(f"/v1/files/{file_id}").json()

    created_at = file.pop("created_at")
    assert type(created_at) is int
    assert abs(created_at - time.time()) < 60
    assert file == {
        "id": file_id,
        "object": "file",
        "bytes": len(CONTENT),
        "expires_at": None,
        "filename": "candidates.jsonl",
        "purpose": "batch",
        "status": "processed",
    }


def test_a_whole_download(api: Api, file_id: str) -> None:
    answer = content(api, file_id)

    assert (answer.status_code, answer.content) == (200, CONTENT)
    headers = answer.headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"] == 'attachment; filename="candidates.jsonl"'
    assert headers["content-length"] == str(len(CONTENT))
    assert headers["accept-ranges"] == "bytes"
    assert headers["etag"].startswith('"')


def test_the_etag_is_of_the_content(api: Api, file_id: str) -> None:
    same, other = api.submit(CONTENT).json(), api.submit(2).json()

    etags = [
        content(api, i).headers["etag"] for i in (file_id, same["input_file_id"], other["input_file_id"])
    ]

    assert etags[0] == etags[1] != etags[2]


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [("0-9", 0, 9), ("10-", 10, len(CONTENT) - 1), ("-5", len(CONTENT) - 5, len(CONTENT) - 1)],
)
def test_a_part_can_be_asked_for(api: Api, file_id: str, wanted: str, first: int, last: int) -> None:
    answer = content(api, file_id, range=f"bytes={wanted}")

    assert answer.status_code == 206
    assert answer.content == CONTENT[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(CONTENT)}"
    assert answer.headers["content-length"] == str(last - first + 1)


def test_a_download_goes_on_only_in_the_same_file(api: Api, file_id: str) -> None:
    etag = content(api, file_id).headers["etag"]

    same = content(api, file_id, range="bytes=10-", if_range=etag)
    changed = content(api, file_id, range="bytes=10-", if_range='"another"')

    assert (same.status_code, same.content) == (206, CONTENT[10:])
    assert (changed.status_code, changed.content) == (200, CONTENT)


def test_a_part_past_the_end_is_refused_with_the_length(api: Api, file_id: str) -> None:
    answer = content(api, file_id, range="bytes=999999-")
    assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"
    error_of(answer, 416)


def test_a_range_that_makes_no_sense_gives_the_whole_or_an_error(api: Api, file_id: str) -> None:
    for wanted in (
        "bytes=x",
        "lines=1-2",
        "bytes=9-3",
        "bytes=-0",
        "bytes=0-4,999999-",
        f"bytes={'1' * 5000}-",
    ):
        answer = content(api, file_id, range=wanted)
        assert answer.status_code in {200, 206, 400, 416}
        if answer.status_code == 200:
            assert answer.content == CONTENT
        if answer.status_code >= 400:
            error_of(answer, answer.status_code)


def test_a_download_that_is_there_already_is_not_sent_again(api: Api, file_id: str) -> None:
    etag = content(api, file_id).headers["etag"]

    same, other = content(api, file_id, if_none_match=etag), content(api, file_id, if_none_match='"another"')

    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    assert content(api, file_id, if_none_match="*").status_code == 304
    assert other.status_code == 200


@pytest.mark.parametrize("wanted", ["", "bytes=10-", "bytes=0-9,20-29"])
def test_a_file_that_is_deleted_during_its_download_is_sent_whole(
    api: Api, file_id: str, wanted: str
) -> None:
    api.work()  # nothing needs it any more
    undisturbed = content(api, file_id, range=wanted)
    path = f"/v1/files/{file_id}"
    deleted = []

    async def deleting(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_delete(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start":
                async with client_of(api.app) as other:
                    deleted.append((await other.delete(path)).status_code)

        await api.app(scope, receive, send_and_delete)

    async def download() -> httpx.Response:
        async with client_of(deleting) as client:
            return await client.get(f"{path}/content", headers={"range": wanted})

    answer = asyncio.run(download())

    assert (answer.status_code, deleted) == (undisturbed.status_code, [200])
    assert len(answer.content) == len(undisturbed.content) == int(answer.headers["content-length"])
    assert content(api, file_id).status_code == 404


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:4080")


def test_a_file_that_is_deleted_just_before_its_download_is_not_found(
    api: Api, file_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = batches.batch_with_answers

    def delete_and_look(database: Database, *, file_id: str) -> Batch | None:
        file = files.delete_file(database, file_id=file_id, now=time.time())
        (api.settings.data_dir / file.path).unlink()
        return look(database, file_id=file_id)

    api.work()
    monkeypatch.setattr(batches, "batch_with_answers", delete_and_look)

    error_of(content(api, file_id), 404, "not_found")


def test_head_tells_the_length_without_the_content(api: Api, file_id: str) -> None:
    whole, head = content(api, file_id), content(api, file_id, method="HEAD")

    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "etag", "content-type", "content-disposition", "accept-ranges"):
        assert head.headers[name] == whole.headers[name]


def test_head_of_results_tells_their_length(api: Api) -> None:
    batch_id = api.finished()
    head = api.call("HEAD", f"/v1/batches/{batch_id}/results")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 0


def test_a_filename_in_any_script_is_a_valid_header(api: Api) -> None:
    answer = api.post("/v1/batches", files={"file": ("кандидаты; x=1.jsonl", CONTENT)}, data={"model": "m"})
    disposition = content(api, answer.json()["input_file_id"]).headers["content-disposition"]
    assert disposition.isascii()
    assert disposition.startswith("attachment; filename*=utf-8''%D0%BA")


@pytest.mark.parametrize("path", ["", "/content"])
def test_an_unknown_file_is_not_found(api: Api, path: str) -> None:
    error = error_of(api.get(f"/v1/files/{UNKNOWN}{path}"), 404, "not_found")
    assert UNKNOWN in error["message"]


def test_a_batchs_id_is_no_files_id(api: Api) -> None:
    error_of(api.get(f"/v1/files/{api.accepted()}/content"), 404)
