"""What is stored of a project."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Integer, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from commandcenter.database import Record
from commandcenter.identifiers import new_id


class Project(Record):
    """A project: the wall between teams, and the holder of limits. Times in seconds."""

    __tablename__ = "projects"
    __table_args__ = (
        CheckConstraint("default_ttl_seconds BETWEEN 1 AND max_ttl_seconds", name="ttl"),
        CheckConstraint("max_sandboxes >= 0 AND max_parallel_forks >= 0", name="limits"),
        CheckConstraint("max_snapshots >= 0", name="snapshots"),
        CheckConstraint("max_requests_per_minute > 0 AND max_points_per_minute >= 20000", name="rates"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(Text, unique=True)
    default_ttl_seconds: Mapped[int] = mapped_column(Integer, default=3600)
    max_ttl_seconds: Mapped[int] = mapped_column(Integer, default=86_400)
    max_sandboxes: Mapped[int] = mapped_column(Integer, default=100)
    max_parallel_forks: Mapped[int] = mapped_column(Integer, default=5)
    max_snapshots: Mapped[int] = mapped_column(Integer, default=20)
    max_requests_per_minute: Mapped[int] = mapped_column(Integer, default=60_000, server_default="60000")
    max_points_per_minute: Mapped[int] = mapped_column(Integer, default=1_200_000, server_default="1200000")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
