"""What the API process does beside answering: it removes files past their expiry, and indexes batches that ended."""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial

from pysqlite3 import dbapi2
from sqlalchemy.exc import SQLAlchemyError

from batch_app import failpoints
from batch_app.api.context import Context
from batch_app.store import batches, files
from batch_app.store.files import StoredFile

log = logging.getLogger(__name__)

_SWEEP_SECONDS = 60.0
_INDEX_SECONDS = 2.0


async def keep_house(context: Context) -> None:
    """Until cancelled. A database in trouble is for the next round."""
    indexer = Indexer(context, since=time.time())
    await asyncio.gather(
        _every(_SWEEP_SECONDS, partial(sweep, context)),
        _every(_INDEX_SECONDS, indexer.run_once),
    )


async def _every(seconds: float, work: Callable[..., None]) -> None:
    while True:
        try:
            await asyncio.to_thread(work, now=time.time())
        except (OSError, SQLAlchemyError, dbapi2.Error) as error:
            log.warning("housekeeping_failed", extra={"reason": str(error)})
        await asyncio.sleep(seconds)


def sweep(context: Context, *, now: float) -> None:
    """Delete expired files: first their names, then their bytes."""
    for file in files.delete_expired_files(context.database, now=now):
        remove_bytes(context, file)
        log.info("file_expired", extra={"file_id": file.id})


def remove_bytes(context: Context, file: StoredFile) -> None:
    """Of a file that is deleted by name: its bytes, and what an index has of them."""
    (context.settings.data_dir / file.path).unlink(missing_ok=True)
    failpoints.reach("file.removed")
    if batch := batches.batch_with_answers(context.database, file_id=file.id):
        context.indexes.remove(batch.id)


class Indexer:
    """Indexes every batch that ends from now on, so that its first reader need not wait."""

    def __init__(self, context: Context, *, since: float) -> None:
        self._context, self._since = context, since

    def run_once(self, *, now: float) -> None:
        for batch_id in batches.list_ended_since(self._context.database, since=self._since):
            self._context.indexes.refresh(batch_id)
        self._since = now
