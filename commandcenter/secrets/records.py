"""What is stored of secrets: values only encrypted."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, ForeignKey, Index, LargeBinary, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from commandcenter.database import Record
from commandcenter.identifiers import new_id


class SecretVersion(Record):
    """A value that a secret has or had: encrypted with the key `key_id`, and readable as this row alone.

    One that was replaced or deleted stays while a sandbox that was given it may still show it.
    """

    __tablename__ = "secret_versions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"), index=True)
    name: Mapped[str] = mapped_column(Text)
    key_id: Mapped[str] = mapped_column(Text)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    replaced_at: Mapped[datetime | None] = mapped_column()

    @property
    def belongs_to(self) -> bytes:
        """What its value was sealed for: this row of this project."""
        return self.project_id.bytes + self.id.bytes


class Secret(Record):
    """A secret of a project, by the name of the environment variable that it becomes."""

    __tablename__ = "secrets"
    __table_args__ = (Index("uq_secrets_project_id_name", "project_id", "name", unique=True),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(Text)
    version_id: Mapped[UUID] = mapped_column(ForeignKey("secret_versions.id"), index=True)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[datetime | None] = mapped_column()


class SandboxSecret(Record):
    """That a sandbox was given a value: every command of it, or some commands alone.

    It stays when the value is gone, as part of what is known about the sandbox.
    """

    __tablename__ = "sandbox_secrets"

    sandbox_id: Mapped[UUID] = mapped_column(ForeignKey("sandboxes.id", ondelete="CASCADE"), primary_key=True)
    version_id: Mapped[UUID] = mapped_column(primary_key=True, index=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(Text)
    for_every_command: Mapped[bool] = mapped_column(Boolean)
    given_at: Mapped[datetime] = mapped_column(server_default=func.now())
