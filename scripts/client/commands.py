"""The commands, one function each: options in, exit code out."""

import json
import shlex
import sys
from argparse import Namespace
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from scripts.client import state as states
from scripts.client.api import Api
from scripts.client.console import batches_text, health_text, summary_text
from scripts.client.downloads import fetch_file, replacing
from scripts.client.errors import EXIT_DONE, EXIT_ERROR, EXIT_UNANSWERED, ClientError
from scripts.client.progress import Progress
from scripts.client.state import State
from scripts.client.submission import Submission
from scripts.client.submitting import (
    Manner,
    Order,
    ask_for_retries,
    check_input,
    finish,
    prepare,
    resume,
    run,
)
from scripts.client.waiting import Patience, run_to_end
from scripts.client.watching import Watch
from scripts.client.wire import read_batch

DEFAULT_URL = "http://localhost:4080"


def submit(options: Namespace) -> int:
    source: Path = options.file
    if not source.is_file():
        raise ClientError(f"{source} is not a file")
    path = states.state_path(source, options.out or source.with_name(f"{source.stem}.results"))
    order = Order(
        source=source,
        model=options.model,
        name=options.name,
        priority=options.priority,
        metadata=dict(options.metadata),
        handling=_handling(options),
        fresh=options.fresh,
        max_requests=options.max_requests,
    )
    if order.fresh and path.exists():
        raise ClientError(f"{path} is there from an earlier run: --fresh needs another --out")
    prepared = None if path.exists() else prepare(order, _api(options), quiet=options.quiet)
    with states.locked(path.parent):
        if prepared is None or path.exists():
            state = resume(order, path)
        else:
            state = prepared
            states.save(state, path)
        return _see_through(state, path, options, send_only=options.no_wait)


def _handling(options: Namespace) -> dict[str, str]:
    """The form fields that say how the lines are computed: only what was asked for."""
    asked = {
        "order": options.order,
        "deduplicate": "true" if options.deduplicate else None,
        "use_cache": "true" if options.use_cache else None,
    }
    return {name: value for name, value in asked.items() if value is not None}


def retry(options: Namespace) -> int:
    path = _state_file(options.target)
    if path is None:
        return _retry_batch(options, options.target)
    with states.locked(path.parent):
        state = states.load(path)
        check_input(state, path)
        if state.summary is not None and not ask_for_retries(state, path):
            raise ClientError(f"nothing to retry: every request of {state.input} is answered")
        return _see_through(state, path, options, send_only=False)


def _retry_batch(options: Namespace, batch_id: str) -> int:
    api = _api(options)
    earlier = api.batch_body(batch_id)["retried_by"]
    retry_id = api.retry(batch_id, idempotency_key=states.retry_key(batch_id))
    if retry_id in earlier:
        again = _command("retry", retry_id)
        print(f"{batch_id} was sent again before. What failed in that: {again}", file=sys.stderr)
    _print(options, {"batch_id": retry_id}, retry_id)
    return EXIT_DONE


def _see_through(state: State, path: Path, options: Namespace, *, send_only: bool) -> int:
    summary = state.summary
    if summary is None:
        submission = Submission(_api(options, state), state, path, send_only=send_only)
        run(submission, _manner(options))
        if send_only:
            batch_ids = [str(part.batch_id) for part in state.parts]
            _print(options, {"batch_ids": batch_ids}, "\n".join(batch_ids))
            return EXIT_DONE
        summary = finish(submission, path)
    human = summary_text(summary, state, _command("retry", str(path)))
    _print(options, {**asdict(summary), "batch_ids": [part.batch_id for part in state.parts]}, human)
    return EXIT_UNANSWERED if summary.failed else EXIT_DONE


def watch(options: Namespace) -> int:
    watched = Watch(_api(options), _batch_ids(options.targets))
    run_to_end(
        watched,
        Progress(quiet=options.quiet),
        interval_seconds=options.interval,
        patience=Patience(options.patience),
    )
    batches = list(watched.batches.values())
    _print(options, [asdict(batch) for batch in batches], batches_text(batches))
    return EXIT_UNANSWERED if any(batch.unanswered for batch in batches) else EXIT_DONE


def download(options: Namespace) -> int:
    api = _api(options)
    batch = api.batch(options.batch_id)
    target: Path = options.output or Path(f"{batch.id}.results.jsonl")
    if not batch.is_final:
        with replacing(target) as file:
            for piece in api.results_so_far(batch.id):
                file.write(piece)
        print(f"{target}: the answers so far; {batch.id} is {batch.status}")
        return EXIT_UNANSWERED
    if batch.output_file_id:
        fetch_file(api, batch.output_file_id, target)
        print(f"{target}: {batch.completed:,} answers")
    if batch.error_file_id and options.errors:
        fetch_file(api, batch.error_file_id, options.errors)
        print(f"{options.errors}: {batch.unanswered:,} failed requests")
    elif batch.unanswered:
        print(f"{batch.unanswered:,} of {batch.total:,} not answered ({batch.status}); see --errors")
    return EXIT_UNANSWERED if batch.unanswered else EXIT_DONE


def cancel(options: Namespace) -> int:
    api = _api(options)
    cancelled = [api.cancel(batch_id) for batch_id in _batch_ids(options.targets)]
    _print(options, [asdict(batch) for batch in cancelled], batches_text(cancelled))
    return EXIT_DONE


def health(options: Namespace) -> int:
    found = _api(options).health()
    _print(options, found, health_text(found))
    return EXIT_DONE if found["status"] == "ok" else EXIT_ERROR


def list_batches(options: Namespace) -> int:
    bodies = list(islice(_api(options).batch_bodies(status=options.status), options.limit))
    _print(options, bodies, batches_text([read_batch(body) for body in bodies]))
    return EXIT_DONE


def _api(options: Namespace, state: State | None = None) -> Api:
    """A submission goes on with the server it was begun with, unless told otherwise."""
    return Api(options.url or (state.url if state else None) or options.default_url, options.api_key)


def _manner(options: Namespace) -> Manner:
    return Manner(interval_seconds=options.interval, patience_seconds=options.patience, quiet=options.quiet)


def _state_file(target: str) -> Path | None:
    return Path(target) if target.endswith(".json") else None


def _batch_ids(targets: list[str]) -> list[str]:
    """Batch ids as they are; a state file stands for the newest batch of each of its parts."""
    found: list[str] = []
    for target in targets:
        if (path := _state_file(target)) is None:
            found.append(target)
            continue
        sent = [part.batch_id for part in states.load(path).parts if part.batch_id]
        if not sent:
            raise ClientError(f"{path}: nothing was sent yet; run `submit` again")
        found += sent
    return found


def _print(options: Namespace, value: Any, human: str) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False) if options.json else human)


def _command(*arguments: str) -> str:
    """A line to copy, with the Python this program runs under."""
    python = Path(sys.executable)
    here = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python
    return shlex.join([str(here), sys.argv[0], *arguments])
