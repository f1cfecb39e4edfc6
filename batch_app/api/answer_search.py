"""Single answers, by the places that the ledger gives: searched by their text."""

import time
from typing import Any

import orjson

from batch_app.answer_index.answer_text import answer_text
from batch_app.answer_index.open_answers import open_answers
from batch_app.api.context import Context
from batch_app.store import request_reads
from batch_app.store.request_reads import RowFilter

_SEARCH_SECONDS = 0.5
_ROWS_AT_ONCE = 500


def search(
    context: Context, batch_id: str, text: str, *, wanted: RowFilter, after: int, limit: int
) -> tuple[list[dict[str, Any]], int | None]:
    """Rows behind line `after` whose answer has `text` in it, upper and lower case alike; and the line to go on
    behind, None when all was searched. Gives what it has found when its time is over, be it nothing.
    """
    until = time.monotonic() + _SEARCH_SECONDS
    found: list[dict[str, Any]] = []
    while rows := request_reads.list_answered_rows(
        context.database, batch_id=batch_id, wanted=wanted, after=after, limit=_ROWS_AT_ONCE
    ):
        with open_answers(context.database, context.settings, batch_id) as answers:
            for row, place in rows:
                after = row["line"]
                line = answers.read(place)
                if line is not None and text.lower() in answer_text(orjson.loads(line)).lower():
                    found.append(row)
                if len(found) == limit or time.monotonic() > until:
                    return found, after
    return found, None
