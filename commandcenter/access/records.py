"""What is stored of browser sign-ins: hashes of what the browser holds."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, func
from sqlalchemy.orm import Mapped, mapped_column

from commandcenter.database import Record
from commandcenter.identifiers import new_id


class SignInLink(Record):
    """A link that signs one browser in with a key, once, until it expires."""

    __tablename__ = "sign_in_links"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column()
    used_at: Mapped[datetime | None] = mapped_column()


class BrowserSession(Record):
    """A signed-in browser: it acts with its key, and ends with it."""

    __tablename__ = "browser_sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id"), index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column()
    ended_at: Mapped[datetime | None] = mapped_column()
