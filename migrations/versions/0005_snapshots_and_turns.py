"""Snapshots; turns and later attempts of what changes a sandbox; events of the installation itself."""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import disable_row_level_security, enable_row_level_security

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("sandboxes", sa.Column("action", sa.String(32), nullable=True))
    op.add_column("sandboxes", sa.Column("action_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("sandboxes", sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True))
    _add_number("sandboxes", "failed_attempts", 0)
    _add_number("projects", "max_snapshots", 20)
    op.create_check_constraint("snapshots", "projects", "max_snapshots >= 0")
    op.alter_column("events", "project_id", nullable=True)
    op.create_table(
        "snapshots",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("sandbox_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("provider_snapshot_id", sa.Text(), nullable=True),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("status_reason", sa.Text(), nullable=True),
        sa.Column("deletion_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("action_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_attempts", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("request_fingerprint", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_snapshots_project_id")),
        sa.ForeignKeyConstraint(["sandbox_id"], ["sandboxes.id"], name=op.f("fk_snapshots_sandbox_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshots")),
    )
    op.create_index(
        "ix_snapshots_project_id_created", "snapshots", ["project_id", sa.literal_column("id DESC")]
    )
    op.create_index(op.f("ix_snapshots_sandbox_id"), "snapshots", ["sandbox_id"])
    op.create_index(
        "uq_snapshots_project_id_idempotency_key",
        "snapshots",
        ["project_id", "idempotency_key"],
        unique=True,
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.create_index(
        "ix_snapshots_unsettled",
        "snapshots",
        ["provider"],
        postgresql_where=sa.text("status = 'CREATING' OR deletion_requested_at IS NOT NULL"),
    )
    enable_row_level_security("snapshots")


def downgrade() -> None:
    """Take back."""
    disable_row_level_security("snapshots")
    op.drop_table("snapshots")
    op.execute("SELECT set_config('commandcenter.system', 'on', true)")
    op.execute("DELETE FROM events WHERE project_id IS NULL")
    op.alter_column("events", "project_id", nullable=False)
    op.drop_constraint("snapshots", "projects", type_="check")
    op.drop_column("projects", "max_snapshots")
    for column in ("failed_attempts", "retry_at", "action_until", "action"):
        op.drop_column("sandboxes", column)


def _add_number(table: str, column: str, default: int) -> None:
    """Add a column that needs a value for the rows that exist."""
    op.add_column(table, sa.Column(column, sa.Integer(), server_default=str(default), nullable=False))
    op.alter_column(table, column, server_default=None)
