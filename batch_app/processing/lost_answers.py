"""Answers that the ledger has and the disk has not: lines without an answer again, to be computed once more.

It takes a disk that had not written what it said it had synced, and a power cut: the end of a log is missing, or zeros.
Whenever a batch is claimed its logs' sizes are looked at, and what lies at the streams' ends.
"""

import logging
from dataclasses import replace

import orjson

from batch_app.answer_index.index import Indexes
from batch_app.database import Database
from batch_app.disk.files import KINDS, AnswerKind, AnswerReader, Place, is_all_there
from batch_app.settings import Settings
from batch_app.store import request_reads, request_writes
from batch_app.store.claims import Claim

log = logging.getLogger(__name__)

_TAIL_BYTES = 64 * 1024
_ROWS_AT_ONCE = 1000


def requeue_lost_answers(database: Database, settings: Settings, claim: Claim) -> Claim:
    """The claim, its streams ending where the disk's do. Raises ClaimLostError."""
    ends = {"output": claim.output_end, "error": claim.error_end}
    folder = settings.work_dir / claim.batch_id
    indexes = Indexes(database, settings)
    with AnswerReader.of_logs(folder) as logs:
        for kind in KINDS:
            tail = max(0, ends[kind] - _TAIL_BYTES) if is_all_there(folder, kind, ends[kind]) else 0
            gone_from = _gone_from(database, logs, claim.batch_id, kind, tail)
            if gone_from is None:
                continue
            ends[kind] = gone_from
            # Before, for a crash behind the forgetting leaves nothing to mend; after, for a reader may come in between.
            indexes.remove(claim.batch_id)
            lines = request_writes.requeue_answers(database, claim=claim, kind=kind, from_offset=gone_from)
            indexes.remove(claim.batch_id)
            log.error("answers_were_gone", extra={"batch_id": claim.batch_id, "kind": kind, "lines": lines})
    return replace(claim, output_end=ends["output"], error_end=ends["error"])


def _gone_from(
    database: Database, logs: AnswerReader, batch_id: str, kind: AnswerKind, tail: int
) -> int | None:
    """Where the first answer lies that cannot be read; None when all can. Without damage only the tail is read."""
    if _first_unreadable(database, logs, batch_id, kind, tail) is None:
        return None
    return _first_unreadable(database, logs, batch_id, kind, 0)


def _first_unreadable(
    database: Database, logs: AnswerReader, batch_id: str, kind: AnswerKind, offset: int
) -> int | None:
    while rows := request_reads.list_answers_after(
        database, batch_id=batch_id, kind=kind, offset=offset, limit=_ROWS_AT_ONCE
    ):
        for row, place in rows:
            if _custom_id(logs, place) != row["custom_id"]:
                return place.offset
            offset = place.offset + place.length
    return None


def _custom_id(logs: AnswerReader, place: Place) -> str | None:
    """Whose answer lies there, if one does."""
    try:
        line = logs.read(place)
        return str(orjson.loads(line)["custom_id"]) if line is not None else None
    except (EOFError, orjson.JSONDecodeError, KeyError, TypeError):
        return None
