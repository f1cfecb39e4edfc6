"""What can go wrong, named by cause. Knows nothing about HTTP; each process translates at its own edge."""


class BatchAppError(Exception):
    """The message is one line for a person: what is wrong, where, and what to do."""


class ConfigurationError(BatchAppError):
    """A setting or the models file cannot be used."""


class SchemaError(BatchAppError):
    """The database has no schema yet, or another one than this code knows."""


class BatchNotFoundError(BatchAppError):
    """No batch has this id."""

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"No batch found with id '{batch_id}'.")


class FileMissingError(BatchAppError):
    """No file has this id, or it was deleted."""

    def __init__(self, file_id: str) -> None:
        super().__init__(f"No file found with id '{file_id}'.")


class FileInUseError(BatchAppError):
    """An unfinished batch needs the file."""


class QueueFullError(BatchAppError):
    """One more batch would exceed a limit of the queue."""


class BatchNotCancellableError(BatchAppError):
    """The batch has an end already, or is being finalized."""


class IdempotencyKeyReusedError(BatchAppError):
    """The same Idempotency-Key came with another request."""


class ClaimLostError(BatchAppError):
    """The batch is no longer this worker's: it was paused past its lease and another one took over."""


class ConflictError(BatchAppError):
    """The batch left the state that this move starts from."""


class OptionError(BatchAppError):
    """An option of a batch has a value that is not allowed. `param` is its name on the wire, `code` OpenAI's word."""

    def __init__(self, message: str, *, param: str, code: str) -> None:
        super().__init__(message)
        self.param, self.code = param, code


class BadQueryError(BatchAppError):
    """A question about answers names a column, an operator or a value that makes no sense."""


class IndexMissingError(BatchAppError):
    """Nothing of a batch's answers is indexed, and who does it now has not begun."""


class BackupError(BatchAppError):
    """A backup cannot be made, or what should be one is not whole."""
