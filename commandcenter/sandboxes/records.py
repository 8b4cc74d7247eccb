"""What is stored of a sandbox."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from commandcenter.database import Record
from commandcenter.identifiers import new_id
from commandcenter.sandboxes.states import SandboxAction, SandboxStatus, TerminationReason, TimeoutAction

LARGEST_METADATA_BYTES = 16_384

# Written out, not bound: only so does PostgreSQL see that the index on these rows serves a query.
WAITS_FOR_TURN = text("status = 'CREATING' AND asked_at IS NULL AND termination_requested_at IS NULL")


class Sandbox(Record):
    """A sandbox, from the intent to make it to long after its end.

    `attachment` holds what the provider's SDK needs to reach it without asking (domain, tokens).
    `incarnation` counts its lives: each start or resume begins another.
    `action` is what is being done to it at its provider, by whoever holds its turn, until `action_until`.
    `failed_attempts` counts how often what is due to it failed in a row; the next is not before `retry_at`.
    While it is CREATING: `owner` is the process of ours that makes it, until `lease_until`; `turn` is its
    place in its provider's queue (the lowest goes first, None never waited); `asked_at` is since when the
    provider is being asked for it (None: it waits); `is_repeatable` says that this row holds all that its
    creation needs, so that another process can do it.
    `execution_count` numbers its executions; it grows under the row's lock, so numbers follow commits.
    `secret_count` is how many values of secrets it was ever given: whoever masks its output with fewer
    must read them again.
    """

    __tablename__ = "sandboxes"
    __table_args__ = (
        Index("ix_sandboxes_project_id_created", "project_id", text("id DESC")),
        Index(
            "uq_sandboxes_project_id_idempotency_key",
            "project_id",
            "idempotency_key",
            unique=True,
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
        Index(
            "ix_sandboxes_live",
            "status",
            "expires_at",
            postgresql_where=text("status IN ('CREATING', 'RUNNING', 'PAUSED', 'FAILED')"),
        ),
        Index("ix_sandboxes_waiting", "provider", "turn", "id", postgresql_where=WAITS_FOR_TURN),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("sandboxes.id"), index=True)
    name: Mapped[str | None] = mapped_column(Text)
    provider: Mapped[str] = mapped_column(Text)
    provider_sandbox_id: Mapped[str | None] = mapped_column(Text, index=True)
    attachment: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    template: Mapped[str] = mapped_column(Text)
    status: Mapped[SandboxStatus] = mapped_column(default=SandboxStatus.CREATING)
    status_reason: Mapped[str | None] = mapped_column(Text)
    termination_reason: Mapped[TerminationReason | None] = mapped_column()
    termination_requested_at: Mapped[datetime | None] = mapped_column()
    user_metadata: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, default=dict)
    allow_internet: Mapped[bool] = mapped_column(Boolean, default=False)
    cpu_count: Mapped[int | None] = mapped_column(Integer)
    memory_mb: Mapped[int | None] = mapped_column(Integer)
    ttl_seconds: Mapped[int] = mapped_column(Integer)
    idle_timeout_seconds: Mapped[int | None] = mapped_column(Integer)
    on_timeout: Mapped[TimeoutAction] = mapped_column(default=TimeoutAction.TERMINATE)
    action: Mapped[SandboxAction | None] = mapped_column()
    action_until: Mapped[datetime | None] = mapped_column()
    failed_attempts: Mapped[int] = mapped_column(Integer, default=0)
    retry_at: Mapped[datetime | None] = mapped_column()
    incarnation: Mapped[int] = mapped_column(Integer, default=0)
    execution_count: Mapped[int] = mapped_column(BigInteger, default=0)
    secret_count: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    idempotency_key: Mapped[str | None] = mapped_column(Text)
    request_fingerprint: Mapped[str | None] = mapped_column(Text)
    owner: Mapped[UUID | None] = mapped_column()
    lease_until: Mapped[datetime | None] = mapped_column()
    turn: Mapped[int | None] = mapped_column(BigInteger)
    asked_at: Mapped[datetime | None] = mapped_column()
    is_repeatable: Mapped[bool] = mapped_column(Boolean, default=False)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None] = mapped_column()
    last_activity_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None] = mapped_column()
    terminated_at: Mapped[datetime | None] = mapped_column()


class ProviderQueue(Record):
    """How a provider's account stands, for all projects and processes: creations take their turns by it.

    `turn` is the turn that was taken last. No turn is taken before `next_turn_at`, nor before
    `paused_until`, which the provider asked for; it refused `refusals` times, less what it took since then,
    the last time at `refused_at`. `told_at` is when those who wait were told their places.
    """

    __tablename__ = "provider_queues"

    provider: Mapped[str] = mapped_column(Text, primary_key=True)
    turn: Mapped[int] = mapped_column(BigInteger, default=0)
    next_turn_at: Mapped[datetime | None] = mapped_column()
    paused_until: Mapped[datetime | None] = mapped_column()
    refusals: Mapped[int] = mapped_column(Integer, default=0)
    refused_at: Mapped[datetime | None] = mapped_column()
    told_at: Mapped[datetime | None] = mapped_column()
