"""Projects are walled off by row-level security, and the installation gets its mark."""

import secrets

import sqlalchemy as sa
from alembic import op

from commandcenter.identifiers import new_id
from migrations.row_level_security import disable_row_level_security, enable_row_level_security

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_PROJECT_TABLES = (
    "api_keys",
    "browser_sessions",
    "events",
    "executions",
    "log_chunks",
    "sandboxes",
    "sign_in_links",
)


def upgrade() -> None:
    """Apply."""
    enable_row_level_security("projects", project_column="id")
    for table in _PROJECT_TABLES:
        enable_row_level_security(table)
    instance = sa.table(
        "instance", sa.column("only", sa.SmallInteger), sa.column("id", sa.Uuid), sa.column("signing_key")
    )
    op.get_bind().execute(instance.insert().values(only=1, id=new_id(), signing_key=secrets.token_bytes(32)))


def downgrade() -> None:
    """Take back."""
    op.execute("DELETE FROM instance")
    for table in _PROJECT_TABLES:
        disable_row_level_security(table)
    disable_row_level_security("projects")
