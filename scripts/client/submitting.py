"""Begins a submission or takes it up again, sees it through, and sums it up."""

import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from scripts.client import state as states
from scripts.client.api import Api
from scripts.client.errors import ClientError
from scripts.client.progress import Progress
from scripts.client.splitting import Limits, Plan, digest, plan
from scripts.client.state import Part, State, Summary
from scripts.client.submission import Submission, changed_message
from scripts.client.waiting import Patience, run_to_end


@dataclass(frozen=True)
class Order:
    """What a person asked to be submitted, and how."""

    source: Path
    model: str
    name: str | None = None
    priority: int | None = None
    metadata: dict[str, str] | None = None
    handling: dict[str, str] | None = None
    fresh: bool = False
    max_requests: int = 50_000


@dataclass(frozen=True)
class Manner:
    """How to wait and how much to say."""

    interval_seconds: float
    patience_seconds: float
    quiet: bool


def prepare(order: Order, api: Api, *, quiet: bool) -> State:
    """Check and cut the input. Nothing is sent or written. Raises BadLinesError."""
    queue = api.queue()
    # A part larger than the whole queue would wait for ever.
    most = min(order.max_requests, queue.max_requests_per_batch, queue.max_queued_requests)
    limits = Limits(most, queue.max_file_bytes, queue.max_line_bytes, queue.allow_grammars)
    found = _plan(order.source, limits, quiet=quiet)
    return State(
        input=str(order.source.resolve()),
        sha256=found.sha256,
        bytes=found.bytes,
        url=api.url,
        model=order.model,
        priority=order.priority,
        name=order.name,
        metadata=order.metadata or {},
        parts=_parts(found, order, salt=secrets.token_hex(8) if order.fresh else ""),
        created_at=time.time(),
        handling=order.handling or {},
    )


def resume(order: Order, path: Path) -> State:
    """The state of an earlier run, if it was for the same input and options. Raises ClientError otherwise."""
    state = states.load(path)
    asked = (order.model, order.name or state.name, order.priority or state.priority)
    if (
        asked != (state.model, state.name, state.priority)
        or (order.metadata or state.metadata) != state.metadata
        or (order.handling or state.handling) != state.handling
    ):
        raise ClientError(f"{path} was begun with other options: repeat those, or give another --out")
    state.input = str(order.source.resolve())  # the input and its results may have moved together
    check_input(state, path)
    return state


def check_input(state: State, path: Path) -> None:
    """Raises ClientError when the input is no longer the one the state is about."""
    source = Path(state.input)
    if not source.is_file():
        raise ClientError(f"{source}, which {path} is about, is gone")
    if source.stat().st_size != state.bytes or digest(source) != state.sha256:
        raise ClientError(changed_message(state, path))


def ask_for_retries(state: State, path: Path) -> int:
    """Mark every part with failures for a retry: the parts to run again."""
    failed = [part for part in state.parts if part.is_final and part.unanswered]
    for part in failed:
        part.retrying, part.fetched = True, False
    if failed:
        state.summary = None
        states.save(state, path)
    return len(failed)


def run(submission: Submission, manner: Manner) -> None:
    run_to_end(
        submission,
        Progress(quiet=manner.quiet),
        interval_seconds=manner.interval_seconds,
        patience=Patience(manner.patience_seconds),
    )


def finish(submission: Submission, path: Path) -> Summary:
    """Merge what was fetched, and write down how it ended."""
    state = submission.state
    results, errors = path.parent / "results.jsonl", path.parent / "errors.jsonl"
    merged = submission.merge(results, errors)
    ended_at = max((part.finished_at or 0 for part in state.parts), default=0)
    state.summary = Summary(
        requests=state.requests,
        answered=merged.answered,
        failed=merged.failed,
        input_tokens=sum(part.input_tokens for part in state.parts),
        output_tokens=sum(part.output_tokens for part in state.parts),
        seconds=max(0.0, ended_at - state.created_at),
        results=str(results),
        errors=str(errors),
    )
    states.save(state, path)
    return state.summary


def _plan(source: Path, limits: Limits, *, quiet: bool) -> Plan:
    try:
        size = source.stat().st_size
        with tqdm(
            desc="checking", total=size, unit="B", unit_scale=True, disable=quiet or None, file=sys.stderr
        ) as bar:

            def advance(done: int) -> None:
                bar.update(done - bar.n)

            return plan(source, limits, on_bytes=advance)
    except OSError as error:
        raise ClientError(f"{source} cannot be read: {error.strerror}") from None


def _parts(found: Plan, order: Order, *, salt: str) -> list[Part]:
    return [
        Part(
            number=number,
            first_line=piece.first_line,
            requests=piece.requests,
            offset=piece.offset,
            length=piece.length,
            key=states.part_key(
                digest=found.sha256,
                offset=piece.offset,
                length=piece.length,
                model=order.model,
                handling=order.handling or {},
                salt=salt,
            ),
        )
        for number, piece in enumerate(found.pieces, start=1)
    ]
