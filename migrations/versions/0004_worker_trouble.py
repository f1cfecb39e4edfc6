"""What keeps a worker from its work, in words, and the memory it holds."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("workers", sa.Column("memory_bytes", sa.Integer(), nullable=True))
    op.add_column("workers", sa.Column("trouble", sa.String(), nullable=True))
    op.add_column("workers", sa.Column("next_try_at", sa.Float(), nullable=True))


def downgrade() -> None:
    for column in ("next_try_at", "trouble", "memory_bytes"):
        op.drop_column("workers", column)
