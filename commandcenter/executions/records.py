"""What is stored of an execution."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from commandcenter.database import Record
from commandcenter.executions.states import ENDED, ExecutionStatus
from commandcenter.identifiers import new_id
from commandcenter.logs.records import LogStream

# Written out, not bound: only so does PostgreSQL see that the indexes on these rows serve a query.
NOT_ENDED = text("status IN ('QUEUED', 'RUNNING')")


class Execution(Record):
    """A command in a sandbox.

    `number` counts within the sandbox, in the order of commits. `last_sequence` is that of its last stored
    log chunk, and the byte counts say how much of each stream is stored. `owner` is the process of ours
    that reads its output, until `lease_until`.
    """

    __tablename__ = "executions"
    __table_args__ = (
        Index("ix_executions_project_id_created", "project_id", text("id DESC")),
        Index("uq_executions_sandbox_id_number", "sandbox_id", "number", unique=True),
        Index(
            "uq_executions_project_id_idempotency_key",
            "project_id",
            "idempotency_key",
            unique=True,
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
        Index("ix_executions_lease", "lease_until", postgresql_where=NOT_ENDED),
        Index("ix_executions_not_ended", "sandbox_id", postgresql_where=NOT_ENDED),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    sandbox_id: Mapped[UUID] = mapped_column(ForeignKey("sandboxes.id"))
    incarnation: Mapped[int] = mapped_column(Integer)
    number: Mapped[int] = mapped_column(BigInteger)
    command: Mapped[str] = mapped_column(Text)
    cwd: Mapped[str | None] = mapped_column(Text)
    user: Mapped[str | None] = mapped_column("run_as", Text)
    status: Mapped[ExecutionStatus] = mapped_column(default=ExecutionStatus.QUEUED)
    status_reason: Mapped[str | None] = mapped_column(Text)
    exit_code: Mapped[int | None] = mapped_column(Integer)
    signal: Mapped[str | None] = mapped_column(Text)
    pid: Mapped[int | None] = mapped_column(BigInteger)
    has_stdin: Mapped[bool] = mapped_column(Boolean, default=False)
    is_terminal: Mapped[bool] = mapped_column(Boolean, default=False)
    timeout_seconds: Mapped[int | None] = mapped_column(Integer)
    cancel_requested_at: Mapped[datetime | None] = mapped_column()
    last_sequence: Mapped[int] = mapped_column(BigInteger, default=0)
    stdout_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    stderr_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    terminal_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    owner: Mapped[UUID | None] = mapped_column()
    lease_until: Mapped[datetime | None] = mapped_column()
    idempotency_key: Mapped[str | None] = mapped_column(Text)
    request_fingerprint: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None] = mapped_column()
    completed_at: Mapped[datetime | None] = mapped_column()

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in ENDED

    def stored_bytes(self, stream: LogStream) -> int:
        """How much of a stream is stored, in bytes."""
        return {
            LogStream.STDOUT: self.stdout_bytes,
            LogStream.STDERR: self.stderr_bytes,
            LogStream.PTY: self.terminal_bytes,
            LogStream.SYSTEM: 0,
        }[stream]

    @property
    def duration_ms(self) -> int | None:
        """Milliseconds from start to end, where both are known."""
        if self.started_at is None or self.completed_at is None:
            return None
        return round((self.completed_at - self.started_at).total_seconds() * 1000)
