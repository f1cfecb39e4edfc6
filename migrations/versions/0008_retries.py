"""A batch names those that retried it: they are found by the one that they name as their parent."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    is_retry = sa.text("parent_batch_id IS NOT NULL")
    op.create_index("ix_batches_parent_batch_id", "batches", ["parent_batch_id"], sqlite_where=is_retry)


def downgrade() -> None:
    op.drop_index("ix_batches_parent_batch_id", "batches")
