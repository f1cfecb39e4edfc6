"""How a file of requests becomes a batch, whichever way it came in: scan, check, store, accept; or nothing.

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
from batch_app.api.batch_spec import BatchSpec, digest, digest_of_order
from batch_app.api.errors import ApiError, retry_later
from batch_app.api.option_checks import check_metadata, window_seconds
from batch_app.api.scan_errors import listed_problems, require_some_json, require_valid
from batch_app.database import Database
from batch_app.disk.files import make_folder, publish
from batch_app.errors import FileMissingError
from batch_app.host.gpu import GpuLimits, GpuSnapshot, unfit_reason
from batch_app.input.line_order import assign_ranks
from batch_app.input.request_lines import MAX_MODEL_NAME, LineError, is_model_name
from batch_app.input.scan import Scan, ScanOptions, scan
from batch_app.models import Models
from batch_app.settings import Settings
from batch_app.store import admission, batch_insert, files, workers
from batch_app.store.admission import QueueLimits
from batch_app.store.batch_insert import NewBatch
from batch_app.store.batches import Batch
from batch_app.store.files import NewFile, StoredFile

GpuReader = Callable[..., GpuSnapshot | None]


class Submissions:
    """Takes orders. Shared by all requests of one API process."""

    def __init__(self, database: Database, settings: Settings, models: Models, read_gpu: GpuReader) -> None:
        self._database, self._settings, self._models = database, settings, models
        self._read_gpu = read_gpu
        self.limits = QueueLimits(settings.max_active_batches, settings.max_queued_requests)

    def gpu(self) -> tuple[GpuSnapshot | None, str | None]:
        """A reading, and why the GPU is unfit for another batch; None when it is fit."""
        settings, worker = self._settings, workers.latest_worker(self._database)
        alive = worker if worker is not None and worker.stopped_at is None else None
        snapshot = self._read_gpu(own_pid=alive.pid if alive else None)
        limits = GpuLimits(
            settings.gpu_max_memory_percent, settings.gpu_max_temperature_c, settings.require_gpu
        )
        loaded = alive is not None and alive.model is not None
        return snapshot, unfit_reason(snapshot, limits, worker_loaded=loaded)

    def require_fit_gpu(self) -> None:
        """Raises ApiError 503 with the reading."""
        _snapshot, reason = self.gpu()
        if reason is not None:
            raise retry_later(503, "gpu_unfit", f"No batch is accepted now: {reason}. Try again later.")

    def require_room(self) -> None:
        """Refuse before the upload what could only be refused after it. Raises QueueFullError."""
        admission.require_room(self._database, limits=self.limits)

    def earlier(self, order: BatchSpec, endpoint: str, content: str, *, now: float) -> Batch | None:
        """The batch that this order's key has made already; `content` stands for its file. Raises
        IdempotencyKeyReusedError."""
        request_digest = digest_of_order(order, endpoint, content)
        key = order.idempotency_key
        return batch_insert.batch_with_key(self._database, key=key, request_digest=request_digest, now=now)

    def accept(self, source: BinaryIO, order: BatchSpec, *, content: str | None = None, now: float) -> Batch:
        """Scan, store and accept. `content`: what the order's key knows the file by, if not by its bytes. Raises
        ApiError or a cause; then nothing is stored."""
        self._check_order(order)
        found, file = self._store(source, order.filename, self._rules(order), self._require_valid)
        content = content or file.sha256
        is_needed = False
        try:
            new = self._scanned_batch(order, found, file.id, digest_of=content, now=now)
            if self.earlier(order, new.endpoint, content, now=now) is None:
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

    def create(self, order: BatchSpec, *, file_id: str, endpoint: str, now: float) -> Batch:
        """A batch of an uploaded file. What is wrong with the file makes a failed batch that says so, as OpenAI's
        clients expect. Raises ApiError for what is wrong with the order, and causes."""
        self._check_order(order)
        if earlier := self.earlier(order, endpoint, file_id, now=now):
            return earlier
        self.require_fit_gpu()
        try:
            stored = files.get_file(self._database, file_id=file_id)
            path = self._settings.data_dir / stored.path
            with path.open("rb") as source, Path(os.devnull).open("wb") as nowhere:
                found = scan(source, self._rules(order, endpoint=endpoint), copy_to=nowhere)
            if problems := listed_problems(found, max_requests=self._settings.max_requests_per_batch):
                return self._fail(order, file_id, endpoint, found.model or "", problems, now)
            new = self._scanned_batch(order, found, stored.id, digest_of=stored.id, now=now)
            return self._accept_scanned(new, found, None, now)
        except (FileMissingError, FileNotFoundError):  # before this call, or at any moment of it
            problem = LineError(0, "invalid_request", str(FileMissingError(file_id)), "file_id")
            return self._fail(order, file_id, endpoint, "", [problem], now)

    def _fail(
        self, order: BatchSpec, file_id: str, endpoint: str, model: str, problems: list[LineError], now: float
    ) -> Batch:
        new = self._new_batch(order, model, model, endpoint, file_id, digest_of=file_id, now=now)
        return batch_insert.create_failed_batch(self._database, batch=new, errors=problems, now=now)

    def _rules(self, order: BatchSpec | None = None, *, endpoint: str | None = None) -> ScanOptions:
        return ScanOptions(
            max_requests=self._settings.max_requests_per_batch,
            max_line_bytes=self._settings.max_line_bytes,
            endpoint=endpoint,
            model=order.model if order else None,
            with_sketches=order is not None and order.line_order == "auto",
            find_copies=order is not None and order.deduplicate,
            is_known_model=lambda name: self._models.resolve(name) is not None,
            allow_grammars=self._settings.allow_grammars,
        )

    def _check_order(self, order: BatchSpec) -> None:
        if order.model is not None and not is_model_name(order.model):
            message = f"'model' must have 1 to {MAX_MODEL_NAME} printable characters."
            raise ApiError(400, "invalid_value", message, param="model")
        if order.model is not None and self._models.resolve(order.model) is None:
            message = f"The model {order.model!r} does not exist here; GET /v1/models lists those that do."
            raise ApiError(404, "model_not_found", message, param="model")
        check_metadata(order.metadata)
        window_seconds(order.completion_window, self._settings)

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
        self, order: BatchSpec, found: Scan, file_id: str, *, digest_of: str, now: float
    ) -> NewBatch:
        model = order.model or found.model or ""
        spec = self._models.resolve(model)
        assert spec is not None  # the scan has seen to both
        assert found.endpoint is not None
        return self._new_batch(order, model, spec.name, found.endpoint, file_id, digest_of=digest_of, now=now)

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
        order: BatchSpec,
        model: str,
        served_model: str,
        endpoint: str,
        file_id: str,
        *,
        digest_of: str,
        now: float,
    ) -> NewBatch:
        window = window_seconds(order.completion_window, self._settings)
        expires = window is not None and self._settings.expire_batches
        return NewBatch(
            id=ids.new_batch_id(),
            dialect=order.dialect,
            model=model,
            served_model=served_model,
            endpoint=endpoint,
            input_file_id=file_id,
            priority=order.priority,
            line_order=order.line_order,
            deduplicate=order.deduplicate,
            use_cache=order.use_cache,
            completion_window=order.completion_window,
            expires_at=now + (window or 0) if expires else None,
            output_expires_after_seconds=order.output_expires_after_seconds,
            metadata=order.metadata,
            parent_batch_id=order.parent_batch_id,
            idempotency_key=order.idempotency_key,
            request_digest=digest_of_order(order, endpoint, digest_of),
        )
