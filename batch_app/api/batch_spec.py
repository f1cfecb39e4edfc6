"""What a client asks for besides the file, and how the same order is known again when it comes twice."""

import hashlib
import json
from dataclasses import dataclass

from batch_app.input.line_order import LineOrder
from batch_app.states import Dialect


@dataclass(frozen=True)
class BatchSpec:
    """What a client asks for besides the file. `model` None: the lines name it."""

    model: str | None
    filename: str
    dialect: Dialect = "simple"
    priority: int = 0
    line_order: LineOrder = "auto"
    deduplicate: bool = False
    use_cache: bool = False
    metadata: dict[str, str] | None = None
    completion_window: str | None = None
    output_expires_after_seconds: int | None = None
    idempotency_key: str | None = None
    parent_batch_id: str | None = None


def digest_of_order(order: BatchSpec, endpoint: str, content: str) -> str:
    """Of an order for a batch; `content` stands for its file."""
    return digest(
        content,
        endpoint,
        order.model,
        order.priority,
        order.line_order,
        order.deduplicate,
        order.use_cache,
        order.metadata,
        order.completion_window,
        order.output_expires_after_seconds,
        order.parent_batch_id,
    )


def digest(*asked: object) -> str:
    """Identifies what was asked for: the same request sent twice has the same one."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
