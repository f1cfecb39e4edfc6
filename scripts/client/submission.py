"""Brings a submission forward a turn at a time: send what there is room for, look at what is open, fetch what
is done.

A turn may be cut short anywhere, by an error or by the end of the process: the state file says what is
already so, and the next turn goes on from there. The order around a call that changes the server is always:
write the intent, call, write the outcome.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Final

from scripts.client import state as states
from scripts.client.api import Api
from scripts.client.downloads import fetch_file
from scripts.client.errors import BadLinesError, BusyError, ClientError, RefusedError
from scripts.client.merging import Merged, merge
from scripts.client.progress import Standing, describe_phases
from scripts.client.state import Part, State
from scripts.client.upload import Form
from scripts.client.wire import Batch

KEY_IN_METADATA: Final = "client_key"
_CLOCK_SLACK_SECONDS: Final = 86_400


class Submission:
    """One input on its way. `send_only`: finished once every part is accepted."""

    def __init__(self, api: Api, state: State, path: Path, *, send_only: bool = False) -> None:
        self._api, self.state, self._path = api, state, path
        self._send_only = send_only
        self._source = Path(state.input)
        self._identity = _identity(self._source)
        self._batches: dict[int, Batch] = {}
        self._may_be_sent = {
            part.number for part in state.parts if part.retrying or part.status == states.SENDING
        }
        self._send_not_before = float("-inf")
        self._waiting_for: str | None = None

    @property
    def finished(self) -> bool:
        return all(part.is_sent if self._send_only else part.fetched for part in self.state.parts)

    def run_once(self, now: float) -> bool:
        """One turn; whether the next should follow at once."""
        sent = self._send_next(now)
        if not self._send_only:
            self._refresh()
            self._fetch_finished()
        return sent

    def merge(self, results: Path, errors: Path) -> Merged:
        """Put everything fetched together, in the order of the input."""
        self._check_unchanged()
        return merge(self.state, self._parts_folder, results, errors)

    def standing(self) -> Standing:
        parts, batches = self.state.parts, list(self._batches.values())
        doing = [describe_phases(batches)]
        if unsent := sum(not part.is_sent for part in parts):
            why = f" (waiting: {self._waiting_for})" if self._waiting_for else ""
            doing.append(f"{unsent} of {len(parts)} parts to send{why}")
        return Standing(
            total=self.state.requests,
            done=sum(self._done(part) for part in parts),
            failed=sum(self._failed(part) for part in parts),
            doing=", ".join(text for text in doing if text),
        )

    def _done(self, part: Part) -> int:
        if part.is_final:
            return part.requests
        batch = self._batches.get(part.number)
        # A retry is a batch of the failed lines only: the others are done.
        return part.requests - batch.total + batch.answered if batch else 0

    def _failed(self, part: Part) -> int:
        batch = self._batches.get(part.number)
        return part.unanswered if part.is_final or batch is None else batch.failed

    @property
    def _parts_folder(self) -> Path:
        return self._path.parent / "parts"

    def _save(self) -> None:
        states.save(self.state, self._path)

    def _send_next(self, now: float) -> bool:
        part = next((part for part in self.state.parts if not part.is_sent), None)
        if part is None or now < self._send_not_before:
            return False
        if part.number in self._may_be_sent and (batch_id := self._find_sent(part)) is not None:
            self._accept(part, batch_id)
            return True
        try:
            if part.number not in self._may_be_sent:
                self._check_room(part)
            self._accept(part, self._send(part))
        except BusyError as error:
            self._may_be_sent.discard(part.number)
            self._waiting_for = str(error)
            self._send_not_before = now + error.retry_after_seconds
            return False
        except RefusedError:
            part.retrying = False
            self._save()
            raise
        self._waiting_for = None
        return True

    def _check_room(self, part: Part) -> None:
        """Ask before sending hundreds of megabytes that the server would turn away."""
        requests, size = (part.unanswered, 0) if part.retrying else (part.requests, part.length)
        if (reason := self._api.queue().refusal(requests, size)) is not None:
            raise BusyError(reason, retry_after_seconds=0)

    def _send(self, part: Part) -> str:
        self._may_be_sent.add(part.number)
        if part.retrying and part.batch_id is not None:
            return self._api.retry(part.batch_id, idempotency_key=states.retry_key(part.batch_id))
        self._check_unchanged()
        part.status = states.SENDING
        self._save()
        form = Form(self._fields(part), self._source, part.offset, part.length, self._filename(part))
        try:
            return self._api.submit(form, idempotency_key=part.key)
        except RefusedError as error:
            if error.status == 422:
                raise ClientError(
                    f"{error} These requests were sent before, with other options; see --fresh"
                ) from None
            raise
        except BadLinesError as error:
            shifted = [replace(found, line=found.line + part.first_line - 1) for found in error.errors]
            raise BadLinesError(f"part {part.number} was refused: {error}", shifted, error.total) from None

    def _accept(self, part: Part, batch_id: str) -> None:
        part.batch_ids.append(batch_id)
        part.status, part.retrying, part.fetched = "pending", False, False
        self._save()
        self._may_be_sent.discard(part.number)
        self._batches.pop(part.number, None)

    def _find_sent(self, part: Part) -> str | None:
        """The batch this part became although the answer never arrived. The server forgets a key after a day,
        but not a batch.
        """
        for body in self._api.batch_bodies():
            if part.retrying:
                found = body.get("parent_batch_id") == part.batch_id
            else:
                has_key = (body.get("metadata") or {}).get(KEY_IN_METADATA) == part.key
                found = has_key and body.get("parent_batch_id") is None
            if found:
                return str(body["id"])
            if body["created_at"] < self.state.created_at - _CLOCK_SLACK_SECONDS:
                return None
        return None

    def _fields(self, part: Part) -> dict[str, str]:
        state = self.state
        metadata = {**state.metadata, KEY_IN_METADATA: part.key}
        if state.name:
            metadata["name"] = state.name + (
                f" {part.number}/{len(state.parts)}" if len(state.parts) > 1 else ""
            )
        fields = {"model": state.model, "metadata": json.dumps(metadata), **state.handling}
        return fields if state.priority is None else {**fields, "priority": str(state.priority)}

    def _filename(self, part: Part) -> str:
        several = f".{part.number}-of-{len(self.state.parts)}" if len(self.state.parts) > 1 else ""
        return f"{self._source.stem}{several}{self._source.suffix}"

    def _check_unchanged(self) -> None:
        if self._identity != _identity(self._source):
            raise ClientError(changed_message(self.state, self._path))

    def _refresh(self) -> None:
        for part in self.state.parts:
            if part.batch_id is None or part.retrying or part.fetched:
                continue
            batch = self._batches[part.number] = self._look_up(part.batch_id)
            if batch.status != part.status:
                _note_status(part, batch)
                self._save()

    def _look_up(self, batch_id: str) -> Batch:
        try:
            return self._api.batch(batch_id)
        except RefusedError as error:
            if error.status == 404:
                where = f"{self._api.url} does not know {batch_id}, which {self._path} names"
                raise ClientError(
                    f"{where}: another server? Otherwise start over with another --out"
                ) from None
            raise

    def _fetch_finished(self) -> None:
        for part in self.state.parts:
            batch = self._batches.get(part.number)
            if part.is_final and not part.fetched and batch is not None:
                for file_id, kind in ((batch.output_file_id, "results"), (batch.error_file_id, "errors")):
                    if file_id is not None:
                        fetch_file(self._api, file_id, self._parts_folder / f"{batch.id}.{kind}.jsonl")
                part.fetched = True
                self._save()


def changed_message(state: State, path: Path) -> str:
    sent = [part.batch_id for part in state.parts if part.batch_id]
    some = ", ".join(sent[:3]) + (f" and {len(sent) - 3} more batches" if len(sent) > 3 else "")
    start_over = "start over with another --out"
    if not sent:
        return f"{state.input} is not the file {path} was made for: delete that file, or {start_over}"
    return (
        f"{state.input} is not the file that was sent as {some} (see {path}): put "
        f"that input back to finish, fetch those answers with `download BATCH_ID`, or {start_over}"
    )


def _note_status(part: Part, batch: Batch) -> None:
    part.status = batch.status
    if batch.is_final:
        part.unanswered = batch.unanswered
        part.input_tokens += batch.input_tokens
        part.output_tokens += batch.output_tokens
        part.finished_at = batch.finished_at
        part.failure = "; ".join(batch.errors[:3]) or None


def _identity(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise ClientError(f"{path} cannot be read: {error.strerror}") from None
    return found.st_size, found.st_mtime_ns, found.st_ino
