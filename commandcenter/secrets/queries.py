"""Reading which secrets a project has; their values are read by `given` alone."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Scope
from commandcenter.pages import Page, PageRequest, read_page
from commandcenter.secrets.records import Secret


async def list_secrets(session: AsyncSession, scope: Scope, page: PageRequest) -> Page[Secret]:
    """A page of the project's secrets, newest first."""
    return await read_page(
        session, select(Secret).where(Secret.project_id == scope.project_id), Secret.id, page
    )


async def find_secrets(session: AsyncSession, scope: Scope, ids: Sequence[UUID]) -> dict[UUID, Secret]:
    """Those of `ids` that are the project's, by id."""
    found = await session.scalars(
        select(Secret).where(Secret.project_id == scope.project_id, Secret.id.in_(ids))
    )
    return {secret.id: secret for secret in found}
