"""Answers that come from batches of the past."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("batches", sa.Column("use_cache", sa.Boolean(), server_default="0", nullable=False))
    op.add_column("batches", sa.Column("from_cache_requests", sa.Integer(), nullable=True))
    op.add_column("requests", sa.Column("from_cache", sa.Boolean(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("requests", "from_cache")
    op.drop_column("batches", "from_cache_requests")
    op.drop_column("batches", "use_cache")
