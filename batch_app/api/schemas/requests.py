"""What goes over the wire about the lines of a batch."""

from typing import Literal

from pydantic import Field

from batch_app.api.schemas.batches import WireObject
from batch_app.states import RequestStatus


class ErrorSample(WireObject):
    line: int
    custom_id: str
    message: str | None


class ErrorGroupObject(WireObject):
    code: str
    count: int
    sample: ErrorSample


class ErrorGroups(WireObject):
    object: Literal["list"] = "list"
    data: list[ErrorGroupObject]
    total: int


class Row(WireObject):
    """What became of one line of the input."""

    line: int
    custom_id: str
    status: RequestStatus
    attempts: int
    status_code: int | None
    finish_reason: str | None
    error_code: str | None
    input_tokens: int
    output_tokens: int
    started_at: float | None
    finished_at: float | None


class RowList(WireObject):
    """Ledger rows of a batch."""

    object: Literal["list"] = "list"
    data: list[Row]
    has_more: bool
    next_after: int | None = Field(
        description="`after` of the next page; a search may find nothing on this one"
    )
    total: int | None = Field(description="null when answers were searched for a text")


class DeadLetter(WireObject):
    """A line that was given up on."""

    batch_id: str
    line: int
    custom_id: str
    code: str
    message: str
    attempts: int
    first_failed_at: float
    last_failed_at: float
    retried_by_batch_id: str | None


class DeadLetterList(WireObject):
    """`after` of the next page is the last letter's `line`."""

    object: Literal["list"] = "list"
    data: list[DeadLetter]
    has_more: bool
