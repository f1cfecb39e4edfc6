"""What can go wrong for a client, named by cause, and the exit code each ends in."""

from typing import Final

from batch_app.input.request_lines import LineError

EXIT_DONE: Final = 0
EXIT_ERROR: Final = 1
EXIT_UNANSWERED: Final = 3
EXIT_BAD_INPUT: Final = 4
EXIT_INTERRUPTED: Final = 130


class ClientError(Exception):
    """The message is one line for a person: what is wrong and what to do."""

    exit_code = EXIT_ERROR


class BadLinesError(ClientError):
    """Lines that no server would take. `errors` holds the first of `total`."""

    exit_code = EXIT_BAD_INPUT

    def __init__(self, message: str, errors: list[LineError], total: int) -> None:
        super().__init__(message)
        self.errors, self.total = errors, total


class UnavailableError(ClientError):
    """No usable answer: connection refused or lost, timeout, or a server error. Worth trying again for a
    while.
    """


class BusyError(ClientError):
    """The server says not now (429, 503, 507), that it stored nothing, and when to ask again. Worth waiting for however
    long it takes.
    """

    def __init__(self, message: str, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RefusedError(ClientError):
    """The server will not do this, now or later."""

    def __init__(self, message: str, *, status: int, code: str | None) -> None:
        super().__init__(message)
        self.status, self.code = status, code
