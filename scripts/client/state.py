"""The state file: what was asked, how the input was cut, and which batch each part became.

Written whole, atomically, before and after every call that changes anything on the server. A process that
finds it knows for each part whether it was never sent, was being sent (the same key asks again and gets the
same batch), or which batch it is.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from batch_app.disk.files import make_folder
from batch_app.states import FINAL_BATCH_STATES
from scripts.client.downloads import replacing
from scripts.client.errors import ClientError

VERSION: Final = 1
PLANNED: Final = "planned"
SENDING: Final = "sending"


@dataclass
class Part:
    """One part of the input. `status` is planned, sending, or the server's word for its newest batch.

    `batch_ids` holds the batch it was sent as and then its retries; `retrying` is set while the next one is
    asked for, `fetched` once the newest batch's files are here. The token counts are sums over its finished
    batches.
    """

    number: int
    first_line: int
    requests: int
    offset: int
    length: int
    key: str
    status: str = PLANNED
    batch_ids: list[str] = field(default_factory=list)
    retrying: bool = False
    fetched: bool = False
    unanswered: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    finished_at: int | None = None
    failure: str | None = None

    @property
    def batch_id(self) -> str | None:
        return self.batch_ids[-1] if self.batch_ids else None

    @property
    def is_sent(self) -> bool:
        return self.batch_id is not None and not self.retrying

    @property
    def is_final(self) -> bool:
        return self.is_sent and self.status in FINAL_BATCH_STATES


@dataclass
class Summary:
    """How it ended. `answered` + `failed` = `requests`."""

    requests: int
    answered: int
    failed: int
    input_tokens: int
    output_tokens: int
    seconds: float
    results: str
    errors: str


@dataclass
class State:
    """A submission: an input, its options, its parts. `summary` is set once everything is brought home.

    `handling`: the form fields that say how the server computes, sent as they are.
    """

    input: str
    sha256: str
    bytes: int
    url: str
    model: str
    priority: int | None
    name: str | None
    metadata: dict[str, str]
    parts: list[Part]
    created_at: float
    summary: Summary | None = None
    handling: dict[str, str] = field(default_factory=dict)
    version: int = VERSION

    @property
    def requests(self) -> int:
        return sum(part.requests for part in self.parts)


def state_path(source: Path, folder: Path) -> Path:
    return folder / f"{source.name}.batches.json"


def part_key(
    *, digest: str, offset: int, length: int, model: str, handling: dict[str, str], salt: str
) -> str:
    """The Idempotency-Key of a part: the same bytes for the same model, computed in the same way, are the same
    request, sent from anywhere.
    """
    ways = "".join(f":{name}={value}" for name, value in sorted(handling.items()))
    return sha256(f"{digest}:{offset}:{length}:{model}:{salt}{ways}".encode()).hexdigest()[:32]


def retry_key(batch_id: str) -> str:
    """The Idempotency-Key of a batch's retry: there is one a day. What fails in that is for a retry of its own."""
    return sha256(f"retry:{batch_id}".encode()).hexdigest()[:32]


def save(state: State, path: Path) -> None:
    with replacing(path) as file:
        file.write(json.dumps(asdict(state), indent=1, ensure_ascii=False).encode())


def load(path: Path) -> State:
    """Raises ClientError when the file is not a state file of this version."""
    try:
        body = json.loads(path.read_bytes())
        if body["version"] != VERSION:
            raise ClientError(f"{path} was written by another version of this program; give another --out")
        parts = [Part(**part) for part in body.pop("parts")]
        summary = body.pop("summary")
        return State(parts=parts, summary=Summary(**summary) if summary else None, **body)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClientError(f"{path} is not a state file of `submit` ({error})") from None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps a second client out of an output folder; the lock goes with the process, however it ends."""
    make_folder(folder)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ClientError(
            f"another client is at work in {folder}; wait for it, or give another --out"
        ) from None
