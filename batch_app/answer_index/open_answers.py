"""Opens the answers of a batch, wherever they lie."""

from contextlib import suppress

from batch_app.database import Database
from batch_app.disk.files import AnswerKind, AnswerReader
from batch_app.errors import FileMissingError
from batch_app.settings import Settings
from batch_app.states import FINAL_BATCH_STATES
from batch_app.store import batches, files


def open_answers(database: Database, settings: Settings, batch_id: str) -> AnswerReader:
    """For the places of rows that were read before. To be closed by the caller."""
    if (reader := _open_logs(database, settings, batch_id)) is not None:
        return reader
    batch = batches.get_batch(database, batch_id=batch_id)
    ids: dict[AnswerKind, str | None] = {"output": batch.output_file_id, "error": batch.error_file_id}
    paths = {}
    for kind, file_id in ids.items():
        with suppress(FileMissingError):  # deleted, or past its expiry
            if file_id is not None:
                paths[kind] = settings.data_dir / files.get_file(database, file_id=file_id).path
    return AnswerReader.of_files(paths)


def _open_logs(database: Database, settings: Settings, batch_id: str) -> AnswerReader | None:
    """The logs of an unfinished batch. One that is unfinished still after they were opened has them all."""
    with suppress(FileNotFoundError):
        reader = AnswerReader.of_logs(settings.work_dir / batch_id)
        if batches.get_batch(database, batch_id=batch_id).status not in FINAL_BATCH_STATES:
            return reader
        reader.close()
    return None
