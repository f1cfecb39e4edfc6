"""A data folder with something of everything the API can be asked about."""

import asyncio
import time
from typing import Any

import httpx

from batch_app.api.webhook_sender import WebhookSender
from tests.api.served import MODEL, Api
from tests.api.states import batch_in
from tests.lines import chat_line, chat_lines, jsonl

NOBODY = {"batch_id": "batch_" + "0" * 24, "file_id": "file-" + "0" * 24, "line": "1"}
FAILING = [
    *chat_lines(2),
    chat_line("json", '{"score": 7, "verdict": "hire"}'),
    chat_line("bad", "[[fail 400]]"),
    chat_line("broken", "[[fail 503]]"),
]
CREATION = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}

Known = dict[str, list[Any]]


def batches_in_every_state(api: Api) -> list[str]:
    finished = api.finished(FAILING)
    ended = [batch_in(api, status) for status in ("cancelled", "expired", "failed")]
    bad_file, good_file = (upload(api, lines) for lines in ([{}], chat_lines(2)))
    unusable = api.post("/v1/batches", json={**CREATION, "input_file_id": bad_file}).json()["id"]
    begun = batch_in(api, "in_progress")
    queued = api.post("/v1/batches", json={**CREATION, "input_file_id": good_file}).json()["id"]
    return [finished, *ended, unusable, begun, queued, batch_in(api, "pending"), batch_in(api, "cancelling")]


def upload(api: Api, lines: list[Any]) -> str:
    return str(send_file(api, lines).json()["id"])


def send_file(api: Api, lines: list[Any], key: str | None = None) -> httpx.Response:
    headers = {"idempotency-key": key} if key else {}
    return api.post("/v1/files", files={"file": jsonl(lines)}, data={"purpose": "batch"}, headers=headers)


def furnish(api: Api) -> Known:
    """Batches and files of every kind: what makes sense, by the name of the parameter that takes it."""
    batch_ids = batches_in_every_state(api)
    again = api.finished(FAILING)
    asyncio.run(WebhookSender(api.database, api.settings).address(now=time.time()))
    finished, queued = api.batch(batch_ids[0]), api.batch(batch_ids[-2])
    results = finished["output_file_id"]
    file_ids = [results, finished["input_file_id"], finished["error_file_id"], queued["input_file_id"]]
    file_ids += [upload(api, chat_lines(1)), NOBODY["file_id"]]
    etags = [api.get(f"/v1/files/{results}/content").headers["etag"]]
    return {
        "batch_id": [*batch_ids, NOBODY["batch_id"]],
        "file_id": file_ids,
        "input_file_id": file_ids,
        "after": [*batch_ids, *file_ids, "2"],
        "status": ["active", "pending", "failed"],
        "line": ["3", "1", "99"],
        "column": ["line", "score", "verdict", "output_tokens", "1.score", "no such column"],
        "columns": [["score"], ["verdict", "score"], ["1.score", "1.verdict"], ["no such column"]],
        "sort": ["-score", "answer", "-1.score", "2.answer", "change", "-change", "no such column"],
        "where": [
            ["score:ge:7"],
            ["1.score:ge:7", "2.status:present"],
            ["verdict:eq:hire"],
            ["answer:contains:ö"],
            ["score:is:7"],
            ["score:eq:x"],
        ],
        "having": ["matched", "unmatched", "2", "4"],
        "find": ["json", "nobody"],
        "batch": [
            [batch_ids[0], again],
            [batch_ids[0], batch_ids[1]],
            [batch_ids[0], batch_ids[5]],
            batch_ids[:4],
            batch_ids[:1] * 2,
            [batch_ids[0], NOBODY["batch_id"]],
        ],
        "field": ["score", "verdict", "no such column"],
        "range": ["bytes=0-9", "bytes=0-1,20-30", "bytes=99999-"],
        "if-range": etags,
        "if-none-match": [*etags, "*"],
        "idempotency-key": ["key-1", "key-2"],
        "file": [jsonl(chat_lines(1)), jsonl(FAILING), jsonl([*chat_lines(1), b"{}"])],
        "model": [MODEL, "smollm2"],
        "metadata": ['{"run": "nightly"}', {"run": "nightly"}],
        "endpoint": ["/v1/chat/completions"],
        "completion_window": ["24h"],
        "purpose": ["batch"],
    }
