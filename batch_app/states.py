"""The states of a batch and of a request, and the moves between them.

Imports nothing. `docs/states.md` draws the same two graphs; a test holds the drawing to this file.
"""

from enum import StrEnum
from typing import Final, Literal


class BatchStatus(StrEnum):
    """OpenAI's eight batch states, with `queued` for what the wire calls `pending` or `validating`."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


class RequestStatus(StrEnum):
    """`running` means: taken by a worker. A line is answered once it leaves `running` for a final state."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class DeliveryStatus(StrEnum):
    """Of an event on its way to one receiver; `failed` means given up."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


BATCH_MOVES: Final[dict[BatchStatus, frozenset[BatchStatus]]] = {
    BatchStatus.QUEUED: frozenset(
        {BatchStatus.IN_PROGRESS, BatchStatus.FAILED, BatchStatus.CANCELLING, BatchStatus.EXPIRED}
    ),
    BatchStatus.IN_PROGRESS: frozenset(
        {BatchStatus.FINALIZING, BatchStatus.FAILED, BatchStatus.CANCELLING, BatchStatus.EXPIRED}
    ),
    BatchStatus.FINALIZING: frozenset({BatchStatus.COMPLETED, BatchStatus.IN_PROGRESS}),
    BatchStatus.CANCELLING: frozenset({BatchStatus.CANCELLED}),
    BatchStatus.COMPLETED: frozenset(),
    BatchStatus.FAILED: frozenset(),
    BatchStatus.EXPIRED: frozenset(),
    BatchStatus.CANCELLED: frozenset(),
}

REQUEST_MOVES: Final[dict[RequestStatus, frozenset[RequestStatus]]] = {
    RequestStatus.PENDING: frozenset({RequestStatus.RUNNING}),
    RequestStatus.RUNNING: frozenset(
        {
            RequestStatus.PENDING,
            RequestStatus.COMPLETED,
            RequestStatus.FAILED,
            RequestStatus.CANCELLED,
            RequestStatus.EXPIRED,
        }
    ),
    RequestStatus.COMPLETED: frozenset(),
    RequestStatus.FAILED: frozenset(),
    RequestStatus.CANCELLED: frozenset(),
    RequestStatus.EXPIRED: frozenset(),
}

FINAL_BATCH_STATES: Final = frozenset(state for state, moves in BATCH_MOVES.items() if not moves)
OPEN_BATCH_STATES: Final = frozenset(BatchStatus) - FINAL_BATCH_STATES
FINAL_REQUEST_STATES: Final = frozenset(state for state, moves in REQUEST_MOVES.items() if not moves)

# Batches that count against BATCH_MAX_ACTIVE_BATCHES: a cancelling one will do no more work.
ACTIVE_BATCH_STATES: Final = OPEN_BATCH_STATES - {BatchStatus.CANCELLING}

Dialect = Literal["simple", "openai"]


def wire_status(status: BatchStatus, dialect: Dialect) -> str:
    """The word a client reads: a queued batch is `pending` to a form's sender, `validating` to an OpenAI client."""
    if status is not BatchStatus.QUEUED:
        return status.value
    return "pending" if dialect == "simple" else "validating"
