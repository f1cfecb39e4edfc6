"""What the client reads from the server's answers, and nothing else of them."""

from dataclasses import dataclass
from typing import Any

from batch_app.states import FINAL_BATCH_STATES

Json = dict[str, Any]


@dataclass(frozen=True)
class Batch:
    """A batch as the server reports it."""

    id: str
    status: str
    model: str
    total: int
    completed: int
    failed: int
    phase: str
    input_tokens: int
    output_tokens: int
    output_file_id: str | None
    error_file_id: str | None
    errors: tuple[str, ...]
    metadata: dict[str, str]
    parent_batch_id: str | None
    created_at: int
    finished_at: int | None

    @property
    def is_final(self) -> bool:
        return self.status in FINAL_BATCH_STATES

    @property
    def answered(self) -> int:
        """Requests that are over, well or badly; all of them once the batch is final."""
        return self.total if self.is_final else self.completed + self.failed

    @property
    def unanswered(self) -> int:
        """Requests of a final batch that ended without a good answer."""
        return self.total - self.completed


def read_batch(body: Json) -> Batch:
    counts, progress, usage = body["request_counts"], body.get("progress") or {}, body.get("usage") or {}
    problems = (body.get("errors") or {}).get("data", [])
    return Batch(
        id=body["id"],
        status=body["status"],
        model=body.get("model") or "",
        total=max(body.get("total_requests") or 0, counts["total"]),
        completed=counts["completed"],
        failed=counts["failed"],
        phase=progress.get("phase") or body["status"],
        input_tokens=usage.get("input_tokens", 0),
        output_tokens=usage.get("output_tokens", 0),
        output_file_id=body.get("output_file_id"),
        error_file_id=body.get("error_file_id"),
        errors=tuple(str(problem.get("message")) for problem in problems),
        metadata=body.get("metadata") or {},
        parent_batch_id=body.get("parent_batch_id"),
        created_at=body["created_at"],
        finished_at=next((body[at] for at in _FINISHED_AT if body.get(at)), None),
    )


_FINISHED_AT = ("completed_at", "failed_at", "expired_at", "cancelled_at")


@dataclass(frozen=True)
class Queue:
    """The server's queue: its limits and the room in it, and on its disk."""

    accepting: bool
    reason: str | None
    active_batches: int
    max_active_batches: int
    queued_requests: int
    max_queued_requests: int
    max_requests_per_batch: int
    max_file_bytes: int
    max_line_bytes: int
    allow_grammars: bool
    free_bytes: int

    def refusal(self, requests: int, size: int) -> str | None:
        """Why a batch of this many requests, in a file of `size` bytes, would be turned away now; None when there is
        room.
        """
        if self.active_batches >= self.max_active_batches:
            return f"{self.active_batches} batches are active, the most the server takes"
        if self.queued_requests + requests > self.max_queued_requests:
            room = max(0, self.max_queued_requests - self.queued_requests)
            return f"the queue has room for {room:,} more requests, {requests:,} are needed"
        if size > self.free_bytes:
            return f"the server's disk is full: {self.free_bytes:,} bytes are free, {size:,} are needed"
        return None if self.accepting else self.reason or "the server accepts no batches now"


def read_queue(health: Json) -> Queue:
    queue = health["queue"]
    return Queue(
        accepting=queue["accepting"],
        reason=queue.get("reason"),
        active_batches=queue["active_batches"],
        max_active_batches=queue["max_active_batches"],
        queued_requests=queue["queued_requests"],
        max_queued_requests=queue["max_queued_requests"],
        max_requests_per_batch=queue["max_requests_per_batch"],
        max_file_bytes=queue["max_file_bytes"],
        max_line_bytes=queue["max_line_bytes"],
        allow_grammars=queue.get("allow_grammars", False),
        free_bytes=health["disk"]["free_bytes"],
    )
