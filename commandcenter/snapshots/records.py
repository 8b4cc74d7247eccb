"""What is stored of a snapshot."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from commandcenter.database import Record
from commandcenter.identifiers import new_id
from commandcenter.snapshots.states import SnapshotStatus


class Snapshot(Record):
    """A snapshot of a sandbox's files, from the intent to make it until it is deleted.

    `template` is what its sandbox was made from. Whoever makes or deletes it at the provider does so until
    `action_until`; after `failed_attempts` in a row the next is not before `retry_at`. With
    `deletion_requested_at` it is gone for its project, and its row goes when the provider has deleted it.
    """

    __tablename__ = "snapshots"
    __table_args__ = (
        Index("ix_snapshots_project_id_created", "project_id", text("id DESC")),
        Index(
            "uq_snapshots_project_id_idempotency_key",
            "project_id",
            "idempotency_key",
            unique=True,
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
        Index(
            "ix_snapshots_unsettled",
            "provider",
            postgresql_where=text("status = 'CREATING' OR deletion_requested_at IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    sandbox_id: Mapped[UUID] = mapped_column(ForeignKey("sandboxes.id"), index=True)
    name: Mapped[str | None] = mapped_column(Text)
    provider: Mapped[str] = mapped_column(Text)
    provider_snapshot_id: Mapped[str | None] = mapped_column(Text)
    template: Mapped[str] = mapped_column(Text)
    status: Mapped[SnapshotStatus] = mapped_column(default=SnapshotStatus.CREATING)
    status_reason: Mapped[str | None] = mapped_column(Text)
    deletion_requested_at: Mapped[datetime | None] = mapped_column()
    action_until: Mapped[datetime | None] = mapped_column()
    failed_attempts: Mapped[int] = mapped_column(Integer, default=0)
    retry_at: Mapped[datetime | None] = mapped_column()
    idempotency_key: Mapped[str | None] = mapped_column(Text)
    request_fingerprint: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
