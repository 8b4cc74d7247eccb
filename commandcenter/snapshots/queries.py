"""Reading snapshots of one project; those that are to be deleted are gone."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Scope
from commandcenter.pages import Page, PageRequest, read_page
from commandcenter.snapshots.errors import SnapshotNotFoundError
from commandcenter.snapshots.records import Snapshot


async def list_snapshots(
    session: AsyncSession, scope: Scope, sandbox_id: UUID | None, page: PageRequest
) -> Page[Snapshot]:
    """A page of the project's snapshots, or of those of one sandbox, newest first."""
    query = select(Snapshot).where(
        Snapshot.project_id == scope.project_id, Snapshot.deletion_requested_at.is_(None)
    )
    if sandbox_id is not None:
        query = query.where(Snapshot.sandbox_id == sandbox_id)
    return await read_page(session, query, Snapshot.id, page)


async def find_snapshots(session: AsyncSession, scope: Scope, ids: Sequence[UUID]) -> dict[UUID, Snapshot]:
    """Those of `ids` that are the project's, by id."""
    found = await session.scalars(
        select(Snapshot).where(
            Snapshot.project_id == scope.project_id,
            Snapshot.id.in_(ids),
            Snapshot.deletion_requested_at.is_(None),
        )
    )
    return {snapshot.id: snapshot for snapshot in found}


async def get_snapshot(
    session: AsyncSession, scope: Scope, snapshot_id: UUID, field: str = "snapshotId"
) -> Snapshot:
    """One snapshot; `SnapshotNotFoundError` where the project has no such one."""
    found = await find_snapshots(session, scope, [snapshot_id])
    if snapshot_id not in found:
        raise SnapshotNotFoundError(field)
    return found[snapshot_id]
