"""What a project's keys may ask for together in a minute."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_CONDITION = "max_requests_per_minute > 0 AND max_points_per_minute >= 20000"


def upgrade() -> None:
    """Apply."""
    for name, value in (("max_requests_per_minute", "60000"), ("max_points_per_minute", "1200000")):
        op.add_column("projects", sa.Column(name, sa.Integer(), nullable=False, server_default=value))
    op.create_check_constraint(op.f("ck_projects_rates"), "projects", _CONDITION)


def downgrade() -> None:
    """Take back."""
    op.drop_constraint(op.f("ck_projects_rates"), "projects", type_="check")
    op.drop_column("projects", "max_points_per_minute")
    op.drop_column("projects", "max_requests_per_minute")
