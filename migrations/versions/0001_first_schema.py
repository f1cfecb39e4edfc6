"""The first schema: all tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=True),
        sa.Column("deleted_at", sa.Float(), nullable=True),
        sa.CheckConstraint("purpose IN ('batch', 'batch_output')", name=op.f("ck_files_purpose")),
        sa.CheckConstraint("bytes >= 0", name=op.f("ck_files_bytes_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
    )
    op.create_index("ix_files_created_at", "files", ["created_at", "id"], unique=False)
    op.create_table(
        "samples",
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("queued_requests", sa.Integer(), nullable=False),
        sa.Column("requests_in_flight", sa.Integer(), nullable=False),
        sa.Column("tokens_per_second", sa.Float(), nullable=False),
        sa.Column("requests_per_second", sa.Float(), nullable=False),
        sa.Column("gpu_memory_used_bytes", sa.Integer(), nullable=True),
        sa.Column("gpu_utilization_percent", sa.Float(), nullable=True),
        sa.Column("gpu_temperature_c", sa.Float(), nullable=True),
        sa.Column("gpu_power_w", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("at", name=op.f("pk_samples")),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("process_started_at", sa.Float(), nullable=False),
        sa.Column("engine", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("batch_ids", sa.String(), nullable=False),
        sa.Column("requests_in_flight", sa.Integer(), nullable=False),
        sa.Column("tokens_per_second", sa.Float(), nullable=False),
        sa.Column("cached_prompt_share", sa.Float(), nullable=True),
        sa.Column("engine_restarts", sa.Integer(), nullable=False),
        sa.Column("gpu", sa.String(), nullable=True),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("heartbeat_at", sa.Float(), nullable=False),
        sa.Column("stopped_at", sa.Float(), nullable=True),
        sa.CheckConstraint(
            "(state IN ('stopped', 'lost')) = (stopped_at IS NOT NULL)", name=op.f("ck_workers_stopped_at")
        ),
        sa.CheckConstraint(
            "state IN ('idle', 'loading', 'processing', 'draining', 'stopped', 'lost')",
            name=op.f("ck_workers_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_index("ix_workers_heartbeat_at", "workers", ["heartbeat_at"], unique=False)
    op.create_table(
        "batches",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("dialect", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("served_model", sa.String(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("completion_window", sa.String(), nullable=True),
        sa.Column("output_expires_after_seconds", sa.Integer(), nullable=True),
        sa.Column("metadata", sa.String(), nullable=True),
        sa.Column("errors", sa.String(), nullable=True),
        sa.Column("total_requests", sa.Integer(), nullable=False),
        sa.Column("input_file_id", sa.String(), nullable=False),
        sa.Column("output_file_id", sa.String(), nullable=True),
        sa.Column("error_file_id", sa.String(), nullable=True),
        sa.Column("parent_batch_id", sa.String(), nullable=True),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("request_digest", sa.String(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=True),
        sa.Column("in_progress_at", sa.Float(), nullable=True),
        sa.Column("finalizing_at", sa.Float(), nullable=True),
        sa.Column("completed_at", sa.Float(), nullable=True),
        sa.Column("failed_at", sa.Float(), nullable=True),
        sa.Column("expired_at", sa.Float(), nullable=True),
        sa.Column("cancelling_at", sa.Float(), nullable=True),
        sa.Column("cancelled_at", sa.Float(), nullable=True),
        sa.Column("worker_id", sa.String(), nullable=True),
        sa.Column("claim_epoch", sa.Integer(), nullable=False),
        sa.Column("completed_requests", sa.Integer(), nullable=True),
        sa.Column("failed_requests", sa.Integer(), nullable=True),
        sa.Column("cancelled_requests", sa.Integer(), nullable=True),
        sa.Column("expired_requests", sa.Integer(), nullable=True),
        sa.Column("input_tokens", sa.Integer(), nullable=True),
        sa.Column("cached_tokens", sa.Integer(), nullable=True),
        sa.Column("output_tokens", sa.Integer(), nullable=True),
        sa.Column("reasoning_tokens", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "(status = 'cancelled') = (cancelled_at IS NOT NULL)", name=op.f("ck_batches_cancelled_at")
        ),
        sa.CheckConstraint(
            "(status = 'completed') = (completed_at IS NOT NULL)", name=op.f("ck_batches_completed_at")
        ),
        sa.CheckConstraint(
            "(status = 'expired') = (expired_at IS NOT NULL)", name=op.f("ck_batches_expired_at")
        ),
        sa.CheckConstraint(
            "(status = 'failed') = (failed_at IS NOT NULL)", name=op.f("ck_batches_failed_at")
        ),
        sa.CheckConstraint(
            "(status IN ('cancelled', 'completed', 'expired', 'failed')) = (completed_requests IS NOT NULL AND failed_requests IS NOT NULL AND cancelled_requests IS NOT NULL AND expired_requests IS NOT NULL AND input_tokens IS NOT NULL AND cached_tokens IS NOT NULL AND output_tokens IS NOT NULL AND reasoning_tokens IS NOT NULL)",
            name=op.f("ck_batches_counts_frozen_when_final"),
        ),
        sa.CheckConstraint(
            "NOT (status IN ('cancelled', 'completed', 'expired', 'failed')) OR completed_requests + failed_requests + cancelled_requests + expired_requests = total_requests",
            name=op.f("ck_batches_every_line_accounted_for"),
        ),
        sa.CheckConstraint("dialect IN ('simple', 'openai')", name=op.f("ck_batches_dialect")),
        sa.CheckConstraint(
            "status IN ('queued', 'in_progress', 'finalizing', 'completed', 'failed', 'expired', 'cancelling', 'cancelled')",
            name=op.f("ck_batches_status"),
        ),
        sa.CheckConstraint(
            "worker_id IS NULL OR NOT (status IN ('cancelled', 'completed', 'expired', 'failed'))",
            name=op.f("ck_batches_final_has_no_claim"),
        ),
        sa.CheckConstraint("total_requests >= 0", name=op.f("ck_batches_total_not_negative")),
        sa.ForeignKeyConstraint(["error_file_id"], ["files.id"], name=op.f("fk_batches_error_file_id")),
        sa.ForeignKeyConstraint(["output_file_id"], ["files.id"], name=op.f("fk_batches_output_file_id")),
        sa.ForeignKeyConstraint(["parent_batch_id"], ["batches.id"], name=op.f("fk_batches_parent_batch_id")),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_batches_worker_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_batches_idempotency_key")),
    )
    op.create_index("ix_batches_created_at", "batches", ["created_at", "id"], unique=False)
    op.create_index("ix_batches_status", "batches", ["status", "created_at"], unique=False)
    op.create_table(
        "dead_letters",
        sa.Column("batch_id", sa.String(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("custom_id", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("first_failed_at", sa.Float(), nullable=False),
        sa.Column("last_failed_at", sa.Float(), nullable=False),
        sa.Column("retried_by_batch_id", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["retried_by_batch_id"], ["batches.id"], name=op.f("fk_dead_letters_retried_by_batch_id")
        ),
        sa.PrimaryKeyConstraint("batch_id", "line", name=op.f("pk_dead_letters")),
    )
    op.create_index("ix_dead_letters_last_failed_at", "dead_letters", ["last_failed_at"], unique=False)
    op.create_table(
        "requests",
        sa.Column("batch_id", sa.String(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("custom_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("engine_deaths", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.Float(), nullable=True),
        sa.Column("first_failed_at", sa.Float(), nullable=True),
        sa.Column("input_offset", sa.Integer(), nullable=False),
        sa.Column("input_length", sa.Integer(), nullable=False),
        sa.Column("answer_kind", sa.String(), nullable=True),
        sa.Column("answer_offset", sa.Integer(), nullable=True),
        sa.Column("answer_length", sa.Integer(), nullable=True),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("error_code", sa.String(), nullable=True),
        sa.Column("finish_reason", sa.String(), nullable=True),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("cached_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("reasoning_tokens", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=True),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.CheckConstraint(
            "(status IN ('cancelled', 'completed', 'expired', 'failed')) = (answer_kind IS NOT NULL AND answer_offset IS NOT NULL AND answer_length > 0)",
            name=op.f("ck_requests_final_has_an_answer"),
        ),
        sa.CheckConstraint(
            "(status IN ('cancelled', 'completed', 'expired', 'failed')) = (finished_at IS NOT NULL)",
            name=op.f("ck_requests_finished_at"),
        ),
        sa.CheckConstraint(
            "answer_kind IS NULL OR answer_kind = CASE status WHEN 'completed' THEN 'output' ELSE 'error' END",
            name=op.f("ck_requests_answer_kind"),
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'completed', 'failed', 'cancelled', 'expired')",
            name=op.f("ck_requests_status"),
        ),
        sa.CheckConstraint(
            "line > 0 AND input_offset >= 0 AND input_length > 0", name=op.f("ck_requests_input_place")
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_requests_batch_id")),
        sa.PrimaryKeyConstraint("batch_id", "line", name=op.f("pk_requests")),
        sa.UniqueConstraint("batch_id", "custom_id", name=op.f("uq_requests_batch_id_custom_id")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_requests_progress", "requests", ["batch_id", "status", "finished_at", "line"], unique=False
    )


def downgrade() -> None:
    for table in ("samples", "requests", "dead_letters", "batches", "workers", "files"):
        op.drop_table(table)
