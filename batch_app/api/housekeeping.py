"""What the API process does beside answering: it removes files that are past their expiry."""

import asyncio
import logging
import time

from sqlalchemy.exc import SQLAlchemyError

from batch_app.api.context import Context
from batch_app.store import files

log = logging.getLogger(__name__)

_EVERY_SECONDS = 60.0


async def keep_house(context: Context) -> None:
    """Sweep now and every minute, until cancelled. A database in trouble is for the next round."""
    while True:
        try:
            await asyncio.to_thread(sweep, context, now=time.time())
        except (OSError, SQLAlchemyError) as error:
            log.warning("sweep_failed", extra={"reason": str(error)})
        await asyncio.sleep(_EVERY_SECONDS)


def sweep(context: Context, *, now: float) -> None:
    """Delete expired files: first their names, then their bytes."""
    for file in files.delete_expired_files(context.database, now=now):
        (context.settings.data_dir / file.path).unlink(missing_ok=True)
        log.info("file_expired", extra={"file_id": file.id})
