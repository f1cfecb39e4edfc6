"""Finds what a call names: batches, their indexed answers, the request on a line."""

from typing import Any

import orjson

from batch_app.answer_index.answer_text import is_too_deep
from batch_app.api.context import Context
from batch_app.api.errors import ApiError
from batch_app.disk.files import read_range
from batch_app.errors import BadQueryError, FileMissingError
from batch_app.ids import BATCH_ID
from batch_app.store import batches, files, request_reads
from batch_app.store.batches import Batch

REFRESH_SECONDS = 0.3  # a call waits this long per batch for answers that are not indexed yet


def find_batch(context: Context, batch_id: str) -> Batch:
    """Returns the batch with this id. Raises ApiError 404, BatchNotFoundError."""
    if not BATCH_ID.fullmatch(batch_id):
        raise ApiError(404, "not_found", f"No batch found with id '{batch_id}'.", param="batch_id")
    return batches.get_batch(context.database, batch_id=batch_id)


def find_batches(context: Context, batch_ids: list[str]) -> list[Batch]:
    """Returns several batches, each named once. Raises ApiError 404, BadQueryError, BatchNotFoundError."""
    if len(set(batch_ids)) < len(batch_ids):
        raise BadQueryError("a batch is compared with others, not with itself")
    return [find_batch(context, batch_id) for batch_id in batch_ids]


def refresh_indexes(context: Context, batch_ids: list[str]) -> bool:
    """Indexes new answers of these batches for a short time; returns whether all of them are indexed now.

    Raises as `find_batches`.
    """
    find_batches(context, batch_ids)
    is_complete = [context.indexes.refresh(batch_id, seconds=REFRESH_SECONDS) for batch_id in batch_ids]
    return all(is_complete)


def request_of(context: Context, batch: Batch, row: request_reads.RequestRow) -> dict[str, Any] | None:
    """Returns the request as the input file has it; None if the file is deleted, or the line is nested too deeply
    outside its body."""
    try:
        file = files.get_file(context.database, file_id=batch.input_file_id)
        path = context.settings.data_dir / file.path
        line = b"".join(read_range(path, row.input_offset, row.input_length))
    except (FileMissingError, FileNotFoundError):  # deleted before this call; deleted during it, or lost
        return None
    found: dict[str, Any] = orjson.loads(line)
    return None if is_too_deep(found) else found
