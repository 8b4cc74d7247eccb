"""Creations have an owner, and take turns at their provider."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_WAITING = "ix_sandboxes_waiting"
_COLUMNS = ("owner", "lease_until", "turn", "asked_at", "is_repeatable")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "provider_queues",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("next_turn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("provider", name=op.f("pk_provider_queues")),
    )
    op.add_column("sandboxes", sa.Column("owner", sa.Uuid(), nullable=True))
    op.add_column("sandboxes", sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("sandboxes", sa.Column("turn", sa.BigInteger(), nullable=True))
    op.add_column("sandboxes", sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "sandboxes", sa.Column("is_repeatable", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.alter_column("sandboxes", "is_repeatable", server_default=None)
    # Those that are being made now asked their providers at once.
    op.execute("SET LOCAL commandcenter.system = 'on'")
    op.execute("UPDATE sandboxes SET asked_at = created_at WHERE status = 'CREATING'")
    op.create_index(
        _WAITING,
        "sandboxes",
        ["provider", "turn", "id"],
        postgresql_where=sa.text(
            "status = 'CREATING' AND asked_at IS NULL AND termination_requested_at IS NULL"
        ),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index(_WAITING, "sandboxes")
    for column in _COLUMNS:
        op.drop_column("sandboxes", column)
    op.drop_table("provider_queues")
