"""What a client asks for besides the file, and the digest by which a repeated request is known."""

import hashlib
import json
from dataclasses import dataclass, fields

from batch_app.options import BatchOptions
from batch_app.states import Dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSpec(BatchOptions):
    """What a client asks for besides the file. `model` is None when the requests name it."""

    model: str | None
    filename: str
    dialect: Dialect = "simple"
    idempotency_key: str | None = None
    parent_batch_id: str | None = None


# Every other field is part of what was asked for. The key is what the digest is compared under; a file is known by its
# content, and may be sent again under another name; the dialect is decided by the form, not by the client.
NOT_DIGESTED = frozenset({"idempotency_key", "filename", "dialect"})


def digest_of_spec(spec: BatchSpec, endpoint: str, content: str) -> str:
    """Returns a digest that the same request for a batch has each time it is sent. `content` identifies its file."""
    asked = {
        field.name: getattr(spec, field.name) for field in fields(spec) if field.name not in NOT_DIGESTED
    }
    return digest(content, endpoint, asked)


def digest(*asked: object) -> str:
    """Returns a SHA-256 of JSON values, equal for equal values."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
