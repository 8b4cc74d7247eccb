"""What is stored of an event."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from commandcenter.database import Record
from commandcenter.identifiers import new_id


class Event(Record):
    """Something that happened, written in the transaction that made it happen.

    `kind` is `<subject>.<what>`, such as `sandbox.terminated`; `subject_id` is the object that it happened
    to; `actor` says who did it (`key:cc_3fk2`, `system:expiry`), `address` from where.
    Without `project_id` it concerns the installation itself, and no project sees it.
    """

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_project_id_id", "project_id", text("id DESC")),
        Index("ix_events_sandbox_id_id", "sandbox_id", text("id DESC")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("projects.id"))
    kind: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[UUID] = mapped_column()
    sandbox_id: Mapped[UUID | None] = mapped_column()
    actor: Mapped[str] = mapped_column(Text)
    address: Mapped[str | None] = mapped_column(Text)
    data: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
