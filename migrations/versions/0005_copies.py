"""Lines that must get the same answer as another line of their batch."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("batches", sa.Column("deduplicate", sa.Boolean(), server_default="0", nullable=False))
    op.add_column("batches", sa.Column("deduplicated_requests", sa.Integer(), nullable=True))
    op.add_column("requests", sa.Column("copy_of", sa.Integer(), nullable=True))
    op.create_index(
        "ix_requests_copy_of",
        "requests",
        ["batch_id", "copy_of"],
        sqlite_where=sa.text("copy_of IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_requests_copy_of", "requests")
    op.drop_column("requests", "copy_of")
    op.drop_column("batches", "deduplicated_requests")
    op.drop_column("batches", "deduplicate")
