"""Commands at work in a sandbox are counted before each new one."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_INDEX = "ix_executions_not_ended"


def upgrade() -> None:
    """Apply."""
    op.create_index(
        _INDEX, "executions", ["sandbox_id"], postgresql_where=sa.text("status IN ('QUEUED', 'RUNNING')")
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index(_INDEX, table_name="executions")
