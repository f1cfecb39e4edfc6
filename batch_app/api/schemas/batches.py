"""What goes over the wire: OpenAI's objects and field names, with the owner's beside them.

Moments are whole Unix seconds, except the receipt's `created_at` (ISO 8601). A nullable key is always present.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from batch_app.input.line_order import LineOrder
from batch_app.states import BatchStatus
from batch_app.store.workers import Sample

_STATUSES = ["pending", "validating", *(str(word) for word in BatchStatus if word is not BatchStatus.QUEUED)]
StatusWord = Annotated[str, Field(json_schema_extra={"enum": _STATUSES})]


class WireObject(BaseModel):
    """The document says that the keys with a default are always present, too."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class ErrorDetail(BaseModel):
    message: str = Field(description="what to do")
    type: str = Field(description="the kind of error, as OpenAI names it")
    param: str | None = Field(description="the parameter that is wrong")
    code: str
    errors: list["LineErrorObject"] | None = Field(None, description="the first bad lines of a file")
    total_errors: int | None = Field(None, description="how many there are in all")


class LineErrorObject(WireObject):
    line: int | None
    param: str | None
    code: str
    message: str


class ErrorEnvelope(BaseModel):
    """Every answer that is not 2xx, whatever went wrong."""

    error: ErrorDetail


class Receipt(WireObject):
    """The answer to a submitted form."""

    batch_id: str
    status: StatusWord
    model: str
    total_requests: int
    created_at: str = Field(description="ISO 8601, UTC")
    endpoint: str
    input_file_id: str
    parent_batch_id: str | None = None


class RequestCounts(WireObject):
    total: int
    completed: int
    failed: int


class InputTokensDetails(WireObject):
    cached_tokens: int


class OutputTokensDetails(WireObject):
    reasoning_tokens: int


class Usage(WireObject):
    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class BatchErrors(WireObject):
    object: Literal["list"] = "list"
    data: list[LineErrorObject]


class Progress(WireObject):
    """The owner's view of a batch. Rates are over the last minute."""

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
    eta_seconds: tuple[float, float] | None = Field(
        description="seconds until it is done, from to; what is ahead of a waiting one included"
    )
    queue_position: int | None
    elapsed_seconds: float | None


class Reused(WireObject):
    """Completed lines that got their answer without the engine. They add no tokens to `usage`."""

    deduplicated: int = Field(description="got the answer of another line of the batch")
    cached: int = Field(description="got an answer from a batch of the past")


class EngineReport(WireObject):
    """What the engine did while it had requests of the batch, those of other batches at the same time included."""

    seconds: float
    full_share: float = Field(description="of that time, in which further requests waited inside the engine")
    mean_requests: float = Field(description="that it worked on at once")
    mean_cache_usage: float = Field(description="share of its key-value cache, 0 to 1")
    preemptions: int = Field(description="requests that had to start again for want of cache")
    cached_prompt_share: float | None = Field(description="of the batch's prompt tokens, computed before")


class BatchObject(WireObject):
    """OpenAI's batch object, then the owner's fields."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    model: str
    errors: BatchErrors | None
    input_file_id: str
    completion_window: str | None
    status: StatusWord
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
    order: LineOrder
    deduplicate: bool
    use_cache: bool
    reused: Reused
    engine: EngineReport | None = Field(description="null while no engine had a request of it")
    parent_batch_id: str | None
    retried_by: list[str] = Field(description="ids of the batches that retried it, oldest first")
    filename: str | None
    input_bytes: int | None = Field(description="null when the file was deleted; so with the others")
    output_bytes: int | None
    error_bytes: int | None
    progress: Progress


class BatchList(WireObject):
    object: Literal["list"] = "list"
    data: list[BatchObject]
    first_id: str | None
    last_id: str | None
    has_more: bool
    counts: dict[str, int] = Field(description="batches by status, `active` and `all` included")


class FileObject(WireObject):
    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"


class FileList(WireObject):
    object: Literal["list"] = "list"
    data: list[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileDeleted(WireObject):
    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


class ModelObject(WireObject):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "local"
    aliases: list[str]
    loaded: bool


class ModelList(WireObject):
    object: Literal["list"] = "list"
    data: list[ModelObject]


class SampleList(WireObject):
    object: Literal["list"] = "list"
    data: list[Sample]


def iso(moment: float) -> str:
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(moment: float | None) -> int | None:
    return int(moment) if moment is not None else None
