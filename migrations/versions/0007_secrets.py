"""Secrets of projects, encrypted, and which sandbox was given which."""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import disable_row_level_security, enable_row_level_security

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TABLES = ("secret_versions", "secrets", "sandbox_secrets")


def upgrade() -> None:
    """Apply."""
    op.add_column("instance", sa.Column("secrets_key_id", sa.Text(), nullable=True))
    op.add_column("sandboxes", sa.Column("secret_count", sa.Integer(), server_default="0", nullable=False))
    op.create_table(
        "secret_versions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_secret_versions_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secret_versions")),
    )
    op.create_index(op.f("ix_secret_versions_project_id"), "secret_versions", ["project_id"], unique=False)
    op.create_table(
        "secrets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_secrets_project_id")),
        sa.ForeignKeyConstraint(["version_id"], ["secret_versions.id"], name=op.f("fk_secrets_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secrets")),
    )
    op.create_index(op.f("ix_secrets_version_id"), "secrets", ["version_id"], unique=False)
    op.create_index("uq_secrets_project_id_name", "secrets", ["project_id", "name"], unique=True)
    op.create_table(
        "sandbox_secrets",
        sa.Column("sandbox_id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("for_every_command", sa.Boolean(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["sandbox_id"], ["sandboxes.id"], name=op.f("fk_sandbox_secrets_sandbox_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_sandbox_secrets_project_id")),
        sa.PrimaryKeyConstraint("sandbox_id", "version_id", name=op.f("pk_sandbox_secrets")),
    )
    op.create_index(op.f("ix_sandbox_secrets_version_id"), "sandbox_secrets", ["version_id"], unique=False)
    for table in _TABLES:
        enable_row_level_security(table)


def downgrade() -> None:
    """Take back."""
    for table in reversed(_TABLES):
        disable_row_level_security(table)
        op.drop_table(table)
    op.drop_column("sandboxes", "secret_count")
    op.drop_column("instance", "secrets_key_id")
