"""What is said of a file after its scan: an error, or the errors of a batch that failed."""

from batch_app.api.errors import ApiError
from batch_app.input.request_lines import LineError
from batch_app.input.scan import Scan


def require_some_json(found: Scan) -> None:
    """Raises ApiError for an upload in which no line could be a request; the rest is said when it is used."""
    if not found.lines and found.total_errors == found.unparseable_lines:
        message = "Invalid file format for Batch API. Must be .jsonl"
        raise ApiError(400, "invalid_file_format", message, param="file")


def require_valid(found: Scan, *, max_requests: int) -> None:
    """Raises ApiError with the first bad lines for a file that cannot be a batch."""
    if problem := _size_problem(found, max_requests):
        raise ApiError(400, problem.code, problem.message, param="file")
    if not found.total_errors:
        return
    count = "1 error" if found.total_errors == 1 else f"{found.total_errors} errors"
    listed = len(found.errors)
    some = "" if found.total_errors == listed else f" (the first {listed} are listed)"
    raise ApiError(
        400,
        "invalid_batch_file",
        f"Nothing was stored: {count} on {found.bad_lines} of {found.total_lines} lines{some}. "
        "Correct them and submit the file again.",
        param="file",
        line_errors=found.errors,
        total_errors=found.total_errors,
    )


def listed_problems(found: Scan, *, max_requests: int) -> list[LineError]:
    """The same for a batch object: the first ones, and how many there are when that is not all."""
    if problem := _size_problem(found, max_requests):
        return [problem]
    if found.total_errors == len(found.errors):
        return found.errors
    message = f"The file has {found.total_errors} errors; the first {len(found.errors)} are listed."
    return [*found.errors, LineError(0, "more_errors", message)]


def _size_problem(found: Scan, max_requests: int) -> LineError | None:
    """What is wrong with the number of requests, whatever the lines say."""
    if found.total_lines > max_requests:
        message = f"The file has {found.total_lines} requests; a batch may have {max_requests}: split it."
        return LineError(0, "too_many_requests_in_file", message)
    if not found.lines and not found.errors:
        message = "The file has no requests: send one JSON object per line, as in the README."
        return LineError(0, "empty_file", message)
    return None
