"""The order in which a batch's lines go to the engine. Batches from before keep the order of their files."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column(
        "batches", sa.Column("line_order", sa.String(), server_default="submission", nullable=False)
    )
    op.add_column("requests", sa.Column("rank", sa.Integer(), server_default="0", nullable=False))
    op.execute("UPDATE requests SET rank = line")
    _index_progress_by("rank")


def downgrade() -> None:
    _index_progress_by("line")
    op.drop_column("requests", "rank")
    op.drop_column("batches", "line_order")


def _index_progress_by(last: str) -> None:
    op.drop_index("ix_requests_progress", "requests")
    op.create_index("ix_requests_progress", "requests", ["batch_id", "status", "finished_at", last])
