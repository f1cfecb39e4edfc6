"""What the API process does beside answering: it removes what is past its time, keeps the database's files small, and
indexes batches that ended.

Names go before bytes. Whatever a crash leaves between the two is a leftover, and goes with a later round.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from functools import partial

from pysqlite3 import dbapi2
from sqlalchemy.exc import SQLAlchemyError

from batch_app.api.context import Context
from batch_app.disk import failpoints
from batch_app.errors import BatchNotFoundError
from batch_app.operations import leftovers
from batch_app.store import batches, files, retention, vacuum
from batch_app.store.files import StoredFile

log = logging.getLogger(__name__)

_SWEEP_SECONDS = 60.0
_LEFTOVERS_SECONDS = 3600.0
_INDEX_SECONDS = 2.0
_AN_END_TAKES_SECONDS = 3600.0
_DAY_SECONDS = 24 * 3600
_WORKERS_KEPT_SECONDS = 30 * _DAY_SECONDS
_WAL_BYTES = 16 * 1024**2
_UNUSED_BYTES, _UNUSED_SHARE = 32 * 1024**2, 0.25


async def keep_house(context: Context) -> None:
    """Until cancelled. Trouble is for the next round: neither a full disk nor a bug of ours ends any of this."""
    indexer = Indexer(context, since=time.time())
    await asyncio.gather(
        _every(_SWEEP_SECONDS, partial(sweep, context)),
        _every(_LEFTOVERS_SECONDS, partial(remove_leftovers, context)),
        _every(_INDEX_SECONDS, indexer.run_once),
    )


async def _every(seconds: float, work: Callable[..., None]) -> None:
    while True:
        try:
            await asyncio.to_thread(work, now=time.time())
        except (OSError, SQLAlchemyError, dbapi2.Error) as error:
            log.warning("housekeeping_failed", extra={"reason": str(error)})
        except Exception:
            log.exception("housekeeping_failed")
        await asyncio.sleep(seconds)


def sweep(context: Context, *, now: float) -> None:
    """What is past its time, and what that leaves in the database's files."""
    for file in files.delete_expired_files(context.database, now=now):
        remove_bytes(context, file)
        log.info("file_expired", extra={"file_id": file.id})
    if days := context.settings.keep_ended_batches_days:
        _forget(context, before=now - days * _DAY_SECONDS)
    retention.delete_old_workers(context.database, stopped_before=now - _WORKERS_KEPT_SECONDS)
    vacuum.release_free_pages(context.database, min_bytes=_UNUSED_BYTES, min_share=_UNUSED_SHARE)
    vacuum.truncate_wal(context.database, limit_bytes=_WAL_BYTES)


def _forget(context: Context, *, before: float) -> None:
    while batch := retention.delete_ended_batch(context.database, ended_before=before):
        _remove_paths(context, batch.paths)
        context.indexes.remove(batch.batch_id)
        log.info("batch_forgotten", extra={"batch_id": batch.batch_id, "files": len(batch.paths)})
    _remove_paths(context, retention.delete_unused_files(context.database, made_before=before))


def _remove_paths(context: Context, paths: Iterable[str]) -> None:
    leftovers.remove(context.settings.data_dir / path for path in paths)


def remove_leftovers(context: Context, *, now: float) -> None:
    """What crashes left in the data folder."""
    found = leftovers.find_leftovers(context.database, context.settings, now=now)
    found += context.indexes.strays()
    leftovers.remove(found)
    if found:
        log.info("leftovers_removed", extra={"paths": len(found)})


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
        self._tried: set[str] = set()

    def run_once(self, *, now: float) -> None:
        """An end bears the moment at which the worker began with it, and is to be seen once its files are published: so
        this looks back, past ends that it knows."""
        since = min(self._since, now) - _AN_END_TAKES_SECONDS
        ended = batches.list_ended_since(self._context.database, since=since)
        for batch_id in ended:
            if batch_id not in self._tried:
                self._tried.add(batch_id)
                self._index(batch_id)
        self._tried.intersection_update(ended)
        self._since = now

    def _index(self, batch_id: str) -> None:
        """Raises OSError and the database's errors. A batch whose answers are gone or broken is only logged."""
        try:
            self._context.indexes.complete(batch_id)
        except (BatchNotFoundError, EOFError, FileNotFoundError, ValueError) as error:
            log.warning("batch_not_indexed", extra={"batch_id": batch_id, "reason": str(error)})
        except (OSError, SQLAlchemyError, dbapi2.OperationalError):
            self._tried.remove(batch_id)  # the next round tries again: it is not the batch's fault
            raise
