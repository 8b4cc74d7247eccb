"""Reading API keys of one project."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.access.scope import Role, Scope
from commandcenter.keys.records import ApiKey
from commandcenter.pages import Page, PageRequest, read_page


async def list_keys(session: AsyncSession, scope: Scope, page: PageRequest) -> Page[ApiKey]:
    """A page of the project's keys, newest first; for administrators."""
    scope.require(Role.ADMINISTRATOR)
    query = select(ApiKey).where(ApiKey.project_id == scope.project_id)
    return await read_page(session, query, ApiKey.id, page)
