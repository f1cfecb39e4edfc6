"""Events of ended batches and their deliveries to webhooks; how long requests took; idempotent uploads."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("files", sa.Column("idempotency_key", sa.String(), nullable=True))
    op.add_column("files", sa.Column("request_digest", sa.String(), nullable=True))
    op.create_index("ix_files_idempotency_key", "files", ["idempotency_key"], unique=True)
    op.create_table(
        "request_durations",
        sa.Column("up_to_seconds", sa.Float(), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("up_to_seconds", name=op.f("pk_request_durations")),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("batch_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("addressed_at", sa.Float(), nullable=True),
        sa.CheckConstraint(
            "type IN ('batch.cancelled', 'batch.completed', 'batch.expired', 'batch.failed')",
            name=op.f("ck_events_type"),
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_events_batch_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("batch_id", name=op.f("uq_events_batch_id")),
    )
    op.create_index("ix_events_addressed_at", "events", ["addressed_at"], unique=False)
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.Float(), nullable=True),
        sa.Column("last_attempt_at", sa.Float(), nullable=True),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(status = 'pending') = (next_attempt_at IS NOT NULL)",
            name=op.f("ck_webhook_deliveries_next_attempt_at"),
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'delivered', 'failed')", name=op.f("ck_webhook_deliveries_status")
        ),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_webhook_deliveries_event_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
        sa.UniqueConstraint("event_id", "url", name=op.f("uq_webhook_deliveries_event_id_url")),
    )
    op.create_index(
        "ix_webhook_deliveries_due", "webhook_deliveries", ["url", "next_attempt_at"], unique=False
    )


def downgrade() -> None:
    op.drop_index("ix_files_idempotency_key", "files")
    for column in ("idempotency_key", "request_digest"):
        op.drop_column("files", column)
    for table in ("webhook_deliveries", "events", "request_durations"):
        op.drop_table(table)
