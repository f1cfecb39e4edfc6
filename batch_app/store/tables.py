"""The tables. Moments are Unix seconds (UTC).

The ledger in `requests` is the truth about progress; bodies live in JSONL files, never here. A change here is a
migration in migrations/.
"""

from collections.abc import Iterable

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    text,
)

from batch_app.states import (
    FINAL_BATCH_STATES,
    FINAL_REQUEST_STATES,
    BatchStatus,
    DeliveryStatus,
    RequestStatus,
)


def _one_of(column: str, words: Iterable[str]) -> str:
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


_FINAL_BATCH = _one_of("status", sorted(FINAL_BATCH_STATES))
_FINAL_REQUEST = _one_of("status", sorted(FINAL_REQUEST_STATES))

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

files = Table(
    "files",
    metadata,
    Column("id", String, primary_key=True),
    Column("purpose", String, nullable=False),
    Column("filename", String, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("sha256", String, nullable=False),
    Column("path", String, nullable=False),  # relative to the data folder
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("deleted_at", Float),  # the row stays, so that what refers to it does not dangle; the bytes go
    Column("idempotency_key", String),
    Column("request_digest", String),
    Index("ix_files_created_at", "created_at", "id"),
    Index("ix_files_idempotency_key", "idempotency_key", unique=True),
    CheckConstraint("bytes >= 0", name="bytes_not_negative"),
    CheckConstraint(_one_of("purpose", ["batch", "batch_output"]), name="purpose"),
)

batches = Table(
    "batches",
    metadata,
    Column("id", String, primary_key=True),
    Column("status", String, nullable=False),
    Column("dialect", String, nullable=False),
    Column("model", String, nullable=False),  # as the client wrote it
    Column("served_model", String, nullable=False),  # what that name meant when the batch was accepted
    Column("endpoint", String, nullable=False),
    Column("priority", Integer, nullable=False, default=0),
    Column(
        "line_order", String, nullable=False, server_default="submission"
    ),  # what decided the lines' ranks
    Column("deduplicate", Boolean, nullable=False, server_default="0"),
    Column("use_cache", Boolean, nullable=False, server_default="0"),
    Column("completion_window", String),
    Column("output_expires_after_seconds", Integer),
    Column("metadata", String),  # JSON object of strings
    Column("errors", String),  # JSON list of {code, message, param, line}
    Column("total_requests", Integer, nullable=False),
    Column(
        "input_file_id", String, nullable=False
    ),  # may name a file that does not exist: then the batch failed
    Column("output_file_id", String, ForeignKey("files.id")),
    Column("error_file_id", String, ForeignKey("files.id")),
    Column("parent_batch_id", String, ForeignKey("batches.id")),
    Column("idempotency_key", String),
    Column("request_digest", String),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("in_progress_at", Float),
    Column("finalizing_at", Float),
    Column("completed_at", Float),
    Column("failed_at", Float),
    Column("expired_at", Float),
    Column("cancelling_at", Float),
    Column("cancelled_at", Float),
    # The claim: who works on it, and the how-manieth claim that is. A late worker carries an old epoch.
    Column("worker_id", String, ForeignKey("workers.id")),
    Column("claim_epoch", Integer, nullable=False, default=0),
    # Counted from the ledger while the batch is open, frozen here by the UPDATE that makes it final.
    Column("completed_requests", Integer),
    Column("failed_requests", Integer),
    Column("cancelled_requests", Integer),
    Column("expired_requests", Integer),
    Column("input_tokens", Integer),
    Column("cached_tokens", Integer),
    Column("output_tokens", Integer),
    Column("reasoning_tokens", Integer),
    Column("deduplicated_requests", Integer),  # null also for batches from before there were any; so the next
    Column("from_cache_requests", Integer),
    Column("engine_use", String),  # JSON of sums, null while no engine had a request of it
    CheckConstraint(_one_of("status", list(BatchStatus)), name="status"),
    CheckConstraint(_one_of("dialect", ["simple", "openai"]), name="dialect"),
    CheckConstraint("total_requests >= 0", name="total_not_negative"),
    CheckConstraint(f"worker_id IS NULL OR NOT ({_FINAL_BATCH})", name="final_has_no_claim"),
    CheckConstraint(
        f"({_FINAL_BATCH}) = (completed_requests IS NOT NULL AND failed_requests IS NOT NULL"
        " AND cancelled_requests IS NOT NULL AND expired_requests IS NOT NULL"
        " AND input_tokens IS NOT NULL AND cached_tokens IS NOT NULL"
        " AND output_tokens IS NOT NULL AND reasoning_tokens IS NOT NULL)",
        name="counts_frozen_when_final",
    ),
    CheckConstraint(
        f"NOT ({_FINAL_BATCH}) OR completed_requests + failed_requests + cancelled_requests"
        " + expired_requests = total_requests",
        name="every_line_accounted_for",
    ),
    *(
        CheckConstraint(f"(status = '{state}') = ({state}_at IS NOT NULL)", name=f"{state}_at")
        for state in sorted(FINAL_BATCH_STATES)
    ),
    UniqueConstraint("idempotency_key"),
    Index("ix_batches_status", "status", "created_at"),
    Index("ix_batches_created_at", "created_at", "id"),
    Index("ix_batches_parent_batch_id", "parent_batch_id", sqlite_where=text("parent_batch_id IS NOT NULL")),
)

requests = Table(
    "requests",
    metadata,
    Column("batch_id", String, ForeignKey("batches.id"), nullable=False),
    Column("line", Integer, nullable=False),  # 1 is the first line of the input file
    Column("custom_id", String, nullable=False),
    Column("rank", Integer, nullable=False, server_default="0"),  # its place in the order of work, for good
    Column("copy_of", Integer),  # the line whose answer is its own too: it never goes to the engine
    Column("status", String, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("engine_deaths", Integer, nullable=False, default=0),
    Column("retry_at", Float),
    Column("first_failed_at", Float),
    Column("input_offset", Integer, nullable=False),
    Column("input_length", Integer, nullable=False),
    # Where the answer lies: in the batch's output or error file, which the answer logs add up to.
    Column("answer_kind", String),
    Column("answer_offset", Integer),
    Column("answer_length", Integer),
    Column("from_cache", Boolean, nullable=False, server_default="0"),
    Column("status_code", Integer),
    Column("error_code", String),
    Column("finish_reason", String),
    Column("input_tokens", Integer, nullable=False, default=0),
    Column("cached_tokens", Integer, nullable=False, default=0),
    Column("output_tokens", Integer, nullable=False, default=0),
    Column("reasoning_tokens", Integer, nullable=False, default=0),
    Column("started_at", Float),
    Column("finished_at", Float),
    PrimaryKeyConstraint("batch_id", "line"),
    UniqueConstraint("batch_id", "custom_id"),
    CheckConstraint(_one_of("status", list(RequestStatus)), name="status"),
    CheckConstraint("line > 0 AND input_offset >= 0 AND input_length > 0", name="input_place"),
    CheckConstraint(f"({_FINAL_REQUEST}) = (finished_at IS NOT NULL)", name="finished_at"),
    CheckConstraint(
        f"({_FINAL_REQUEST}) = (answer_kind IS NOT NULL AND answer_offset IS NOT NULL AND answer_length > 0)",
        name="final_has_an_answer",
    ),
    CheckConstraint(
        "answer_kind IS NULL OR answer_kind = CASE status WHEN 'completed' THEN 'output' ELSE 'error' END",
        name="answer_kind",
    ),
    # Serves the counts by status, the next pending lines in order, and the rates of the last minute.
    Index("ix_requests_progress", "batch_id", "status", "finished_at", "rank"),
    Index("ix_requests_copy_of", "batch_id", "copy_of", sqlite_where=text("copy_of IS NOT NULL")),
    sqlite_with_rowid=False,
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("batch_id", String, nullable=False),
    Column("line", Integer, nullable=False),
    Column("custom_id", String, nullable=False),
    Column("code", String, nullable=False),
    Column("message", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_failed_at", Float, nullable=False),
    Column("last_failed_at", Float, nullable=False),
    Column("retried_by_batch_id", String, ForeignKey("batches.id")),
    PrimaryKeyConstraint("batch_id", "line"),
    Index("ix_dead_letters_last_failed_at", "last_failed_at"),
)

# How long answered requests took, of batches that have ended; of open ones the ledger tells.
request_durations = Table(
    "request_durations",
    metadata,
    Column("up_to_seconds", Float, primary_key=True),  # the bucket's upper bound
    Column("requests", Integer, nullable=False),
    Column("seconds", Float, nullable=False),  # theirs together
)

# The outbox: an event is written by the transaction that ends its batch, and sent by the API process.
events = Table(
    "events",
    metadata,
    Column("id", String, primary_key=True),
    Column("type", String, nullable=False),
    Column("batch_id", String, ForeignKey("batches.id"), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("addressed_at", Float),  # when there was a delivery for each receiver of that day
    CheckConstraint(_one_of("type", [f"batch.{state}" for state in sorted(FINAL_BATCH_STATES)]), name="type"),
    UniqueConstraint("batch_id"),
    Index("ix_events_addressed_at", "addressed_at"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("event_id", String, ForeignKey("events.id"), nullable=False),
    Column("url", String, nullable=False),
    Column("status", String, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_attempt_at", Float),
    Column("last_attempt_at", Float),
    Column("status_code", Integer),  # of the last answer
    Column("error", String),  # why the last attempt failed
    CheckConstraint(_one_of("status", list(DeliveryStatus)), name="status"),
    CheckConstraint("(status = 'pending') = (next_attempt_at IS NOT NULL)", name="next_attempt_at"),
    UniqueConstraint("event_id", "url"),
    Index("ix_webhook_deliveries_due", "url", "next_attempt_at"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", String, primary_key=True),  # one per start: a restarted worker is another one
    Column("host", String, nullable=False),
    Column("pid", Integer, nullable=False),
    # In seconds after the boot. With the pid: is that process still the same one?
    Column("process_started_at", Float, nullable=False),
    Column("engine", String, nullable=False),
    Column("state", String, nullable=False),
    Column("model", String),
    Column("batch_ids", String, nullable=False, default="[]"),  # JSON list
    Column("requests_in_flight", Integer, nullable=False, default=0),
    Column("tokens_per_second", Float, nullable=False, default=0.0),
    Column("cached_prompt_share", Float),
    Column("engine_restarts", Integer, nullable=False, default=0),
    Column("memory_bytes", Integer),  # resident, its engine's processes included
    Column("trouble", String),  # what keeps it from its work, in a sentence
    Column("next_try_at", Float),  # when it tries again
    Column("gpu", String),  # JSON of the GPU snapshot
    Column("started_at", Float, nullable=False),
    Column("heartbeat_at", Float, nullable=False),
    Column("stopped_at", Float),
    CheckConstraint(
        _one_of("state", ["idle", "loading", "processing", "draining", "stopped", "lost"]), name="state"
    ),
    CheckConstraint("(state IN ('stopped', 'lost')) = (stopped_at IS NOT NULL)", name="stopped_at"),
    Index("ix_workers_heartbeat_at", "heartbeat_at"),
)

samples = Table(
    "samples",
    metadata,
    Column("at", Float, primary_key=True),
    Column("queued_requests", Integer, nullable=False),
    Column("requests_in_flight", Integer, nullable=False),
    Column("tokens_per_second", Float, nullable=False),
    Column("requests_per_second", Float, nullable=False),
    Column("gpu_memory_used_bytes", Integer),
    Column("gpu_utilization_percent", Float),
    Column("gpu_temperature_c", Float),
    Column("gpu_power_w", Float),
)
