"""Turns a file of requests into a batch, whichever form it came in: scan, check, store, accept; or nothing.

Blocking: called in a thread. The GPU and the queue are asked first, so a refusal costs no upload, and again when the
file is here; the queue's limits are decided for good in the transaction that accepts the batch. An Idempotency-Key that
is known gets its batch whatever the GPU and the queue have become, and a file that does not come with the request.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from batch_app import ids
from batch_app.api.batch_spec import BatchSpec, digest, digest_of_spec
from batch_app.api.errors import ApiError, retry_later
from batch_app.api.scan_errors import listed_problems, require_some_json, require_valid
from batch_app.database import Database
from batch_app.disk.files import make_folder, publish
from batch_app.errors import FileMissingError
from batch_app.host.gpu import GpuLimits, GpuRefusal, GpuSnapshot, gpu_refusal
from batch_app.input.line_order import assign_ranks
from batch_app.input.request_lines import MAX_MODEL_NAME, LineError, is_model_name
from batch_app.input.scan import Scan, ScanOptions, scan
from batch_app.models import Models
from batch_app.options import values_of
from batch_app.settings import Settings
from batch_app.store import admission, batch_insert, files, workers
from batch_app.store.admission import QueueLimits
from batch_app.store.batch_insert import NewBatch
from batch_app.store.batches import Batch
from batch_app.store.files import NewFile, StoredFile

GpuReader = Callable[..., GpuSnapshot | None]


class Submissions:
    """Accepts files and batches. One instance serves all calls of an API process."""

    def __init__(self, database: Database, settings: Settings, models: Models, read_gpu: GpuReader) -> None:
        self._database, self._settings, self._models = database, settings, models
        self._read_gpu = read_gpu
        self.limits = QueueLimits(settings.max_active_batches, settings.max_queued_requests)

    def gpu(self) -> tuple[GpuSnapshot | None, GpuRefusal | None]:
        """Returns a reading, and why the GPU is unfit for another batch; None when it is fit."""
        settings, worker = self._settings, workers.latest_worker(self._database)
        alive = worker if worker is not None and worker.stopped_at is None else None
        snapshot = self._read_gpu(own_pid=alive.pid if alive else None)
        limits = GpuLimits(
            settings.gpu_max_memory_percent, settings.gpu_max_temperature_c, settings.require_gpu
        )
        loaded = alive is not None and alive.model is not None
        return snapshot, gpu_refusal(snapshot, limits, worker_loaded=loaded)

    def require_fit_gpu(self) -> None:
        """Raises ApiError 503 with the reading."""
        _snapshot, refusal = self.gpu()
        if refusal is not None:
            message = f"No batch is accepted now: {refusal.message}. Try again later."
            raise retry_later(503, "gpu_unfit", message)

    def require_room(self) -> None:
        """Refuse before the upload what could only be refused after it. Raises QueueFullError."""
        admission.require_room(self._database, limits=self.limits)

    def earlier(self, spec: BatchSpec, endpoint: str, content: str, *, now: float) -> Batch | None:
        """Returns the batch that the same request made earlier under its key. `content` identifies its file. Raises
        IdempotencyKeyReusedError."""
        request_digest = digest_of_spec(spec, endpoint, content)
        key = spec.idempotency_key
        return batch_insert.batch_with_key(self._database, key=key, request_digest=request_digest, now=now)

    def accept(self, source: BinaryIO, spec: BatchSpec, *, content: str | None = None, now: float) -> Batch:
        """Scan, store and accept. `content` identifies the file for the key, if not its bytes do. Raises
        ApiError or a cause; then nothing is stored."""
        self._check_spec(spec)
        found, file = self._store(source, spec.filename, self._rules(spec), self._require_valid)
        content = content or file.sha256
        is_needed = False
        try:
            new = self._scanned_batch(spec, found, file.id, digest_of=content, now=now)
            if self.earlier(spec, new.endpoint, content, now=now) is None:
                self.require_fit_gpu()
            batch = self._accept_scanned(new, found, file, now)
            is_needed = batch.input_file_id == file.id  # else the Idempotency-Key is known: the batch it made
        finally:
            if not is_needed:
                (self._settings.data_dir / file.path).unlink(missing_ok=True)
        return batch

    def upload(
        self,
        source: BinaryIO,
        filename: str,
        *,
        lifetime: int | None,
        idempotency_key: str | None,
        now: float,
    ) -> StoredFile:
        """Keep a file for batches to come. Raises ApiError 400 when it cannot be one of requests, and causes."""
        _found, file = self._store(source, filename, self._rules(), require_some_json)
        file = replace(
            file,
            expires_at=now + lifetime if lifetime is not None else None,
            idempotency_key=idempotency_key,
            request_digest=digest(file.sha256, filename, lifetime),
        )
        is_needed = False
        try:
            stored = files.add_file(self._database, file=file, now=now)
            is_needed = stored.id == file.id
        finally:
            if not is_needed:
                (self._settings.data_dir / file.path).unlink(missing_ok=True)
        return stored

    def create(self, spec: BatchSpec, *, file_id: str, endpoint: str, now: float) -> Batch:
        """A batch of an uploaded file. What is wrong with the file makes a failed batch that says so, as OpenAI's
        clients expect. Raises ApiError for an option or a model that cannot be used, and causes."""
        self._check_spec(spec)
        if earlier := self.earlier(spec, endpoint, file_id, now=now):
            return earlier
        self.require_fit_gpu()
        try:
            stored = files.get_file(self._database, file_id=file_id)
            path = self._settings.data_dir / stored.path
            with path.open("rb") as source, Path(os.devnull).open("wb") as nowhere:
                found = scan(source, self._rules(spec, endpoint=endpoint), copy_to=nowhere)
            if problems := listed_problems(found, max_requests=self._settings.max_requests_per_batch):
                return self._fail(spec, file_id, endpoint, found.model or "", problems, now)
            new = self._scanned_batch(spec, found, stored.id, digest_of=stored.id, now=now)
            return self._accept_scanned(new, found, None, now)
        except (FileMissingError, FileNotFoundError):  # before this call, or at any moment of it
            problem = LineError(0, "invalid_request", str(FileMissingError(file_id)), "file_id")
            return self._fail(spec, file_id, endpoint, "", [problem], now)

    def _fail(
        self, spec: BatchSpec, file_id: str, endpoint: str, model: str, problems: list[LineError], now: float
    ) -> Batch:
        new = self._new_batch(spec, model, model, endpoint, file_id, digest_of=file_id, now=now)
        return batch_insert.create_failed_batch(self._database, batch=new, errors=problems, now=now)

    def _rules(self, spec: BatchSpec | None = None, *, endpoint: str | None = None) -> ScanOptions:
        return ScanOptions(
            max_requests=self._settings.max_requests_per_batch,
            max_line_bytes=self._settings.max_line_bytes,
            endpoint=endpoint,
            model=spec.model if spec else None,
            with_sketches=spec is not None and spec.line_order == "auto",
            find_copies=spec is not None and spec.deduplicate,
            is_known_model=lambda name: self._models.resolve(name) is not None,
            allow_grammars=self._settings.allow_grammars,
        )

    def _check_spec(self, spec: BatchSpec) -> None:
        if spec.model is not None and not is_model_name(spec.model):
            message = f"'model' must have 1 to {MAX_MODEL_NAME} printable characters."
            raise ApiError(400, "invalid_value", message, param="model")
        if spec.model is not None and self._models.resolve(spec.model) is None:
            message = f"The model {spec.model!r} does not exist here; GET /v1/models lists those that do."
            raise ApiError(404, "model_not_found", message, param="model")
        self._window_seconds(spec)

    def _store(
        self, source: BinaryIO, filename: str, rules: ScanOptions, require: Callable[[Scan], None]
    ) -> tuple[Scan, NewFile]:
        """Copy an upload into the files folder while scanning it; one that is refused leaves nothing behind."""
        file_id = ids.new_file_id()
        temporary = self._settings.temp_dir / f"{file_id}.part"
        final = self._settings.files_dir / f"{file_id}.jsonl"
        make_folder(temporary.parent)
        try:
            with temporary.open("wb") as target:
                found = scan(source, rules, copy_to=target)
                require(found)
                publish(target, temporary, final)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
        path = str(Path(final).relative_to(self._settings.data_dir))
        return found, NewFile(file_id, "batch", filename, found.bytes, found.sha256, path)

    def _require_valid(self, found: Scan) -> None:
        require_valid(found, max_requests=self._settings.max_requests_per_batch)

    def _scanned_batch(
        self, spec: BatchSpec, found: Scan, file_id: str, *, digest_of: str, now: float
    ) -> NewBatch:
        model = spec.model or found.model or ""
        served = self._models.resolve(model)
        assert served is not None  # the scan has seen to both
        assert found.endpoint is not None
        return self._new_batch(
            spec, model, served.name, found.endpoint, file_id, digest_of=digest_of, now=now
        )

    def _accept_scanned(self, new: NewBatch, found: Scan, file: NewFile | None, now: float) -> Batch:
        return batch_insert.accept_batch(
            self._database,
            batch=new,
            file=file,
            lines=found.lines,
            ranks={line: rank for rank, line in enumerate(assign_ranks(found.sketches), 1)},
            limits=self.limits,
            now=now,
        )

    def _new_batch(
        self,
        spec: BatchSpec,
        model: str,
        served_model: str,
        endpoint: str,
        file_id: str,
        *,
        digest_of: str,
        now: float,
    ) -> NewBatch:
        window = self._window_seconds(spec)
        expires = window is not None and self._settings.expire_batches
        return NewBatch(
            id=ids.new_batch_id(),
            dialect=spec.dialect,
            model=model,
            served_model=served_model,
            endpoint=endpoint,
            input_file_id=file_id,
            expires_at=now + (window or 0) if expires else None,
            parent_batch_id=spec.parent_batch_id,
            idempotency_key=spec.idempotency_key,
            request_digest=digest_of_spec(spec, endpoint, digest_of),
            **values_of(spec),
        )

    def _window_seconds(self, spec: BatchSpec) -> float | None:
        """Returns how long the completion window lasts, None without one. Raises ApiError for one not allowed."""
        window, allowed = spec.completion_window, self._settings.window_seconds
        if window is None:
            return None
        if window not in allowed:
            message = f"'completion_window' must be one of {', '.join(allowed)}; got {window!r}."
            raise ApiError(400, "invalid_value", message, param="completion_window")
        return allowed[window]
