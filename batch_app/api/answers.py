"""Single answers, by the places that the ledger gives: searched by their text."""

import time
from contextlib import suppress
from typing import Any

import orjson

from batch_app.api.context import Context
from batch_app.errors import FileMissingError
from batch_app.files import AnswerKind, AnswerReader
from batch_app.jsonl import answer_text
from batch_app.states import FINAL_BATCH_STATES
from batch_app.store import batches, files, progress
from batch_app.store.progress import RowFilter

_SEARCH_SECONDS = 0.5
_ROWS_AT_ONCE = 500


def open_answers(context: Context, batch_id: str) -> AnswerReader:
    """For the places of rows that were read before. To be closed by the caller."""
    if (reader := _open_logs(context, batch_id)) is not None:
        return reader
    batch = batches.get_batch(context.database, batch_id=batch_id)
    ids: dict[AnswerKind, str | None] = {"output": batch.output_file_id, "error": batch.error_file_id}
    paths = {}
    for kind, file_id in ids.items():
        with suppress(FileMissingError):  # deleted, or past its expiry
            if file_id is not None:
                file = files.get_file(context.database, file_id=file_id)
                paths[kind] = context.settings.data_dir / file.path
    return AnswerReader.of_files(paths)


def _open_logs(context: Context, batch_id: str) -> AnswerReader | None:
    """The logs of an unfinished batch. One that is unfinished still after they were opened has them all."""
    with suppress(FileNotFoundError):
        reader = AnswerReader.of_logs(context.settings.work_dir / batch_id)
        if batches.get_batch(context.database, batch_id=batch_id).status not in FINAL_BATCH_STATES:
            return reader
        reader.close()
    return None


def search(
    context: Context, batch_id: str, text: str, *, wanted: RowFilter, after: int, limit: int
) -> tuple[list[dict[str, Any]], int | None]:
    """Rows behind line `after` whose answer has `text` in it, upper and lower case alike; and the line to go on
    behind, None when all was searched. Gives what it has found when its time is over, be it nothing.
    """
    until = time.monotonic() + _SEARCH_SECONDS
    found: list[dict[str, Any]] = []
    while rows := progress.list_answered_rows(
        context.database, batch_id=batch_id, wanted=wanted, after=after, limit=_ROWS_AT_ONCE
    ):
        with open_answers(context, batch_id) as answers:
            for row, place in rows:
                after = row["line"]
                line = answers.read(place)
                if line is not None and _has_text(line, text):
                    found.append(row)
                if len(found) == limit or time.monotonic() > until:
                    return found, after
    return found, None


def _has_text(line: bytes, text: str) -> bool:
    # Most lines are out at once: as JSON, before anything is parsed. Only ASCII has one way to be lower case.
    if text.isascii() and orjson.dumps(text)[1:-1].lower() not in line.lower():
        return False
    return text.lower() in answer_text(line).lower()
