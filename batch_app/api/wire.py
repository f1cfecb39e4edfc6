"""What goes over the wire: OpenAI's objects and field names, with the owner's beside them.

Moments are whole Unix seconds, except the receipt's `created_at` (ISO 8601). A nullable key is always present.
"""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str
    errors: list["LineErrorObject"] | None = Field(None, description="the first bad lines of a file")
    total_errors: int | None = Field(None, description="how many there are in all")


class LineErrorObject(BaseModel):
    line: int | None
    param: str | None
    code: str
    message: str


class ErrorObject(BaseModel):
    error: ErrorDetail


class Receipt(BaseModel):
    """The answer to a submitted form."""

    batch_id: str
    status: str
    model: str
    total_requests: int
    created_at: str = Field(description="ISO 8601, UTC")
    endpoint: str
    input_file_id: str
    parent_batch_id: str | None = None


class RequestCounts(BaseModel):
    total: int
    completed: int
    failed: int


class InputTokensDetails(BaseModel):
    cached_tokens: int


class OutputTokensDetails(BaseModel):
    reasoning_tokens: int


class Usage(BaseModel):
    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class BatchErrors(BaseModel):
    object: str = "list"
    data: list[LineErrorObject]


class Progress(BaseModel):
    """The owner's view of a batch. `eta_seconds` is a range; rates are over the last minute."""

    percent: float
    phase: str = Field(
        description="queued, waiting_for_worker, loading_model, running, finalizing, cancelling, done"
    )
    pending: int
    running: int
    cancelled: int
    expired: int
    chunk: int
    chunks: int
    requests_per_second: float | None
    tokens_per_second: float | None
    eta_seconds: tuple[float, float] | None
    queue_position: int | None
    elapsed_seconds: float | None


class BatchObject(BaseModel):
    """OpenAI's batch object, then the owner's fields."""

    id: str
    object: str = "batch"
    endpoint: str
    model: str
    errors: BatchErrors | None
    input_file_id: str
    completion_window: str | None
    status: str
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int | None
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts
    usage: Usage
    metadata: dict[str, str] | None
    batch_id: str
    total_requests: int
    priority: int
    parent_batch_id: str | None
    filename: str | None
    progress: Progress


class BatchList(BaseModel):
    object: str = "list"
    data: list[BatchObject]
    first_id: str | None
    last_id: str | None
    has_more: bool
    counts: dict[str, int] = Field(description="batches by status, `active` and `all` included")


class ErrorGroupObject(BaseModel):
    code: str
    count: int
    sample: dict[str, Any]


class ErrorGroups(BaseModel):
    object: str = "list"
    data: list[ErrorGroupObject]
    total: int


class RowList(BaseModel):
    """Ledger rows of a batch; `after` of the next page is the last row's `line`."""

    object: str = "list"
    data: list[dict[str, Any]]
    has_more: bool
    total: int | None = None


class FileObject(BaseModel):
    id: str
    object: str = "file"
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: str
    status: str = "processed"


class FileList(BaseModel):
    object: str = "list"
    data: list[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileDeleted(BaseModel):
    id: str
    object: str = "file"
    deleted: bool = True


class ModelObject(BaseModel):
    id: str
    object: str = "model"
    created: int
    owned_by: str = "local"
    aliases: list[str]
    loaded: bool


class ModelList(BaseModel):
    object: str = "list"
    data: list[ModelObject]


class SampleList(BaseModel):
    object: str = "list"
    data: list[dict[str, Any]]


def iso(moment: float) -> str:
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(moment: float | None) -> int | None:
    return int(moment) if moment is not None else None
