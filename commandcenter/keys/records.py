"""What is stored of an API key: never the key itself."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, ForeignKey, LargeBinary, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from commandcenter.access.scope import Role
from commandcenter.database import Record
from commandcenter.identifiers import new_id


class ApiKey(Record):
    """A key of one project.

    `prefix` is the part that may be shown; `secret_hash` is the SHA-256 of the whole key, which is random
    enough (256 bits) to need no slow hash.
    """

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"), index=True)
    name: Mapped[str] = mapped_column(Text)
    prefix: Mapped[str] = mapped_column(Text)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    role: Mapped[Role] = mapped_column()
    is_instance_administrator: Mapped[bool] = mapped_column(Boolean, default=False)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None] = mapped_column()
    last_used_at: Mapped[datetime | None] = mapped_column()
    revoked_at: Mapped[datetime | None] = mapped_column()
