"""What the engine did while it had requests of a batch."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("batches", sa.Column("engine_use", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("batches", "engine_use")
