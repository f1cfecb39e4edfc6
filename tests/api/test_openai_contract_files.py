"""OpenAI's dialect, /v1/files: what is uploaded, listed, downloaded and deleted, and when a file goes by itself."""

import itertools
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from batch_app.api import housekeeping, submission
from batch_app.database import Database
from batch_app.errors import FileMissingError
from batch_app.store import files
from batch_app.store.files import StoredFile
from tests.api.errors import error_of
from tests.api.forms import HEADERS, file, form, text
from tests.api.openai_dialect import cancel, create, created, ended, upload, uploaded
from tests.api.served import Api
from tests.lines import chat_line, chat_lines, jsonl

CONTENT = jsonl(chat_lines(2))
AN_HOUR = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
MIB = 1024 * 1024


def listed(api: Api, **params: Any) -> Any:
    answer = api.get("/v1/files", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(page: Any) -> list[str]:
    return [entry["id"] for entry in page["data"]]


def test_an_upload_is_a_processed_file_object_at_once(api: Api) -> None:
    uploaded_file = uploaded(api, CONTENT)

    created_at = uploaded_file["created_at"]
    assert type(created_at) is int
    assert abs(created_at - time.time()) < 60
    assert uploaded_file == {
        "id": uploaded_file["id"],
        "object": "file",
        "bytes": len(CONTENT),
        "created_at": created_at,
        "expires_at": None,
        "filename": "requests.jsonl",
        "purpose": "batch",
        "status": "processed",
    }
    assert api.get(f"/v1/files/{uploaded_file['id']}").json() == uploaded_file


def test_any_filename_and_content_type_is_accepted(api: Api) -> None:
    for filename, content_type in (
        ("in.jsonl", "application/jsonl"),
        ("кандидаты.txt", "text/plain; charset=utf-8"),
        ("no extension", "application/octet-stream"),
        ("../../etc/passwd", "nonsense"),
        ("picture.png", "image/png"),
    ):
        parts = {"file": (filename, CONTENT, content_type)}
        answer = api.post("/v1/files", files=parts, data={"purpose": "batch"})
        assert (answer.status_code, answer.json()["filename"]) == (200, filename)


def test_an_upload_from_bytes_is_called_upload(api: Api) -> None:
    named = api.post("/v1/files", files={"file": CONTENT}, data={"purpose": "batch"})
    nameless = api.post("/v1/files", **form(text("purpose", "batch"), file(CONTENT, filename="")))
    assert [answer.json()["filename"] for answer in (named, nameless)] == ["upload", "upload"]


def test_the_fields_of_an_upload_come_in_any_order(api: Api) -> None:
    parts = [file(CONTENT), text("purpose", "batch"), *(text(*field) for field in AN_HOUR.items())]
    for order in itertools.permutations(parts):
        answer = api.post("/v1/files", **form(*order))
        assert answer.status_code == 200, answer.text
        assert answer.json()["expires_at"] == answer.json()["created_at"] + 3600
        assert answer.json()["bytes"] == len(CONTENT)


def test_the_same_filename_twice_is_two_files(api: Api) -> None:
    first, second = uploaded(api, 2), uploaded(api, 3)
    assert first["filename"] == second["filename"]
    assert set(ids(listed(api))) == {first["id"], second["id"]}
    assert first["id"] != second["id"]


@pytest.mark.parametrize("seconds", [3600, 2_592_000])
def test_a_file_lives_as_long_as_was_asked_for(api: Api, seconds: int) -> None:
    made = uploaded(api, **{**AN_HOUR, "expires_after[seconds]": str(seconds)})
    assert made["expires_at"] == made["created_at"] + seconds


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({}, "missing_required_parameter", "purpose"),
        ({"purpose": "fine-tune"}, "invalid_value", "purpose"),
        ({"purpose": "batch", "expires_after[seconds]": "3600"}, "invalid_value", "expires_after[anchor]"),
        ({"purpose": "batch", **AN_HOUR, "expires_after[anchor]": "now"}, "invalid_value", "expires_after[anchor]"),
        ({"purpose": "batch", "expires_after[anchor]": "created_at"}, "invalid_value", "expires_after[seconds]"),
        *(
            ({"purpose": "batch", **AN_HOUR, "expires_after[seconds]": bad}, "invalid_value", "expires_after[seconds]")
            for bad in ("3599", "2592001", "-3600", "1e4", "9" * 5000)
        ),
        ({"purpose": "batch", "model": "gpt-4"}, "unknown_parameter", "model"),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_an_odd_upload_is_a_400_that_names_the_field(
    api: Api, fields: dict[str, str], code: str, param: str
) -> None:
    answer = api.post("/v1/files", files={"file": CONTENT}, data=fields)
    assert error_of(answer, 400, code)["param"] == param
    assert api.has_stored_nothing()


def test_an_upload_without_a_file_is_told_so(api: Api) -> None:
    answer = api.post("/v1/files", **form(text("purpose", "batch")))
    assert error_of(answer, 400, "missing_required_parameter")["param"] == "file"


def test_an_empty_list_of_files_has_every_key(api: Api) -> None:
    assert listed(api) == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


def test_files_are_listed_page_by_page_in_both_orders(api: Api) -> None:
    made = [uploaded(api)["id"] for _ in range(3)]

    first = listed(api, limit=2)
    second = listed(api, limit=2, after=first["last_id"])

    assert ids(first) + ids(second) == made[::-1]
    assert (first["first_id"], first["last_id"]) == (made[2], made[1])
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert ids(listed(api, order="desc")) == made[::-1]
    assert ids(listed(api, order="asc")) == made
    assert ids(listed(api, order="asc", after=made[0], limit=1)) == [made[1]]


def test_files_are_listed_by_purpose(api: Api) -> None:
    batch = ended(api, [*chat_lines(1), chat_line("failing", "[[fail 400]]")])

    assert ids(listed(api, purpose="batch")) == [batch["input_file_id"]]
    assert set(ids(listed(api, purpose="batch_output"))) == {batch["output_file_id"], batch["error_file_id"]}
    assert listed(api, purpose="fine-tune")["data"] == []
    assert len(listed(api)["data"]) == 3


@pytest.mark.parametrize(
    ("param", "values"), [("limit", ["0", "10001", "-1", "many"]), ("order", ["up", ""])]
)
def test_a_list_of_files_refuses_what_it_does_not_know(api: Api, param: str, values: list[str]) -> None:
    for value in values:
        assert error_of(api.get(f"/v1/files?{param}={value}"), 400)["param"] == param
    assert api.get("/v1/files?limit=10000").status_code == 200


def test_a_page_after_an_unknown_file_is_not_found(api: Api) -> None:
    error_of(api.get(f"/v1/files?after=file-{'0' * 24}"), 404, "not_found")


def test_results_are_downloaded_under_the_name_of_their_batch(api: Api) -> None:
    batch = ended(api, [*chat_lines(3), chat_line("failing", "[[fail 400]]")])
    for kind in ("output", "error"):
        path = f"/v1/files/{batch[f'{kind}_file_id']}"
        whole = api.get(f"{path}/content")
        name = f"{batch['id']}_{kind}.jsonl"
        assert whole.headers["content-type"] == "application/octet-stream"
        assert whole.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert whole.headers["content-length"] == str(len(whole.content))
        made = api.get(path).json()
        assert (made["purpose"], made["filename"], made["status"]) == ("batch_output", name, "processed")
        assert made["bytes"] == len(whole.content)


def test_a_deleted_file_is_gone_from_everywhere(api: Api) -> None:
    file_id = uploaded(api)["id"]

    answer = api.delete(f"/v1/files/{file_id}")

    assert (answer.status_code, answer.json()) == (200, {"id": file_id, "object": "file", "deleted": True})
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        error_of(api.call(method, f"/v1/files/{file_id}{path}"), 404, "not_found")
    assert listed(api)["data"] == []
    assert api.stored()["paths"] == []


@pytest.mark.parametrize("status", ["validating", "in_progress", "cancelling"])
def test_a_file_that_an_unfinished_batch_needs_is_neither_deleted_nor_expired(api: Api, status: str) -> None:
    file_id = uploaded(api, **AN_HOUR)["id"]
    batch_id = create(api, file_id).json()["id"]
    if status == "in_progress":
        api.work(answers=1)
    if status == "cancelling":
        cancel(api, batch_id)
    assert api.batch(batch_id)["status"] == status

    answer = api.delete(f"/v1/files/{file_id}")
    housekeeping.sweep(api.app.state.context, now=time.time() + 10_000)

    error_of(answer, 409, "file_in_use")
    assert answer.headers["x-should-retry"] == "false"
    assert api.get(f"/v1/files/{file_id}/content").content == CONTENT
    api.work()
    assert api.delete(f"/v1/files/{file_id}").status_code == 200


def test_an_expired_file_goes_with_its_bytes(api: Api) -> None:
    made = uploaded(api, **AN_HOUR)
    path = Path(api.settings.files_dir) / f"{made['id']}.jsonl"
    housekeeping.sweep(api.app.state.context, now=time.time() + 3590)
    assert path.exists()
    housekeeping.sweep(api.app.state.context, now=time.time() + 3610)
    assert not path.exists()
    error_of(api.get(f"/v1/files/{made['id']}"), 404, "not_found")


def test_a_batch_of_a_deleted_file_fails_like_one_of_an_unknown_file(api: Api) -> None:
    file_id = uploaded(api)["id"]
    api.delete(f"/v1/files/{file_id}")

    batch = api.batch(create(api, file_id).json()["id"])

    [error] = batch["errors"]["data"]
    assert (batch["status"], error["code"], error["param"]) == ("failed", "invalid_request", "file_id")


def test_a_batch_whose_input_was_deleted_cannot_be_retried_and_says_so(api: Api) -> None:
    batch = created(api)
    cancel(api, batch["id"])
    api.work()
    assert api.delete(f"/v1/files/{batch['input_file_id']}").status_code == 200
    error_of(api.post(f"/v1/batches/{batch['id']}/retry"), 409, "input_file_deleted")


def test_an_input_file_that_is_deleted_during_a_call_is_as_one_that_was_before(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, unused = created(api), uploaded(api)["id"]
    cancel(api, ended["id"])
    api.work()
    look = files.get_file

    def look_and_delete(database: Database, *, file_id: str) -> StoredFile:
        found = look(database, file_id=file_id)
        files.delete_file(database, file_id=file_id, now=time.time())
        (api.settings.data_dir / found.path).unlink()
        return found

    monkeypatch.setattr(files, "get_file", look_and_delete)

    error_of(api.post(f"/v1/batches/{ended['id']}/retry"), 409, "input_file_deleted")
    batch = api.batch(create(api, unused).json()["id"])
    [error] = batch["errors"]["data"]
    assert (batch["status"], error["code"], error["param"]) == ("failed", "invalid_request", "file_id")
    assert error["message"] == str(FileMissingError(unused))


def test_a_file_that_is_deleted_while_it_is_scanned_makes_a_batch_that_fails(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = uploaded(api)["id"]
    scan = submission.scan

    def scan_and_delete(*arguments: Any, **more: Any) -> Any:
        found = scan(*arguments, **more)
        assert files.delete_file(api.database, file_id=file_id, now=time.time())
        return found

    monkeypatch.setattr(submission, "scan", scan_and_delete)
    answer = create(api, file_id)
    assert answer.status_code == 200, answer.text
    batch = api.batch(answer.json()["id"])
    [error] = batch["errors"]["data"]
    assert (batch["status"], error["param"], error["message"]) == (
        "failed", "file_id", str(FileMissingError(file_id)),
    )  # fmt: skip


def test_a_large_upload_is_taken_in_little_memory(api: Api) -> None:
    line = jsonl([chat_line("x", "y" * MIB)])
    whole = form(text("purpose", "batch"), file(b"here"))["content"]
    before, after = whole.split(b"here")

    async def pieces() -> AsyncIterator[bytes]:
        yield before
        for number in range(48):
            yield line.replace(b'"x"', f'"{number}"'.encode())
        yield after

    tracemalloc.start()
    try:
        answer = api.post("/v1/files", content=pieces(), headers=HEADERS)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert answer.json()["bytes"] > 48 * MIB
    assert peak < 16 * MIB


def test_an_upload_that_is_no_jsonl_is_refused_whatever_its_name(api: Api) -> None:
    error_of(upload(api, b"\x89PNG\r\n\x1a\n", filename="requests.jsonl"), 400, "invalid_file_format")
    assert api.has_stored_nothing()
