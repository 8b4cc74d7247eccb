"""`commandcenter admin …`: for whoever operates the installation and so can reach its database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from sqlalchemy import select

from commandcenter.access.scope import Role, Scope
from commandcenter.access.sign_in import administrator_key, create_sign_in_link
from commandcenter.clock import now
from commandcenter.database import Database
from commandcenter.keys.actions import create_key
from commandcenter.projects.records import Project
from commandcenter.secrets.key_source import VARIABLE, given_keyring, key_file
from commandcenter.secrets.rotation import discard_unreadable, rotate_secrets
from commandcenter.settings import Settings
from processes.embedded.postgresql import EmbeddedPostgresql
from processes.errors import StartError
from processes.home import open_home
from processes.servers import require_database

ACTOR = "system:command-line"


def database_url(settings: Settings) -> str:
    """The database that is given, or else the embedded one of a running `commandcenter up`."""
    return settings.database_url or EmbeddedPostgresql(open_home(settings.home_folder)).url()


async def make_key(
    settings: Settings,
    *,
    project_name: str,
    name: str,
    role: Role,
    days: int | None,
    is_instance_administrator: bool,
) -> str:
    """Create an API key of a project and return it; it is shown this once."""
    async with _database(settings) as database:
        async with database.system_transaction() as session:
            project_id = await session.scalar(select(Project.id).where(Project.name == project_name))
            if project_id is None:
                raise StartError(
                    f"There is no project {project_name!r}. The mutation createProject makes one."
                )
            scope = Scope(project_id, Role.ADMINISTRATOR, ACTOR, is_instance_administrator=True)
            _, secret = await create_key(
                session,
                scope,
                name=name,
                role=role,
                expires_at=now() + timedelta(days=days) if days else None,
                is_instance_administrator=is_instance_administrator,
            )
        return secret


async def make_sign_in_link(settings: Settings) -> str:
    """The address that signs one browser in as the administrator, once, within 15 minutes."""
    async with _database(settings) as database:
        token = await create_sign_in_link(database, await administrator_key(database))
        return f"{settings.address}/sign-in?token={token}"


async def rotate(settings: Settings, *, discard: bool) -> tuple[int, list[str]]:
    """Encrypt all secrets with the first key, with `discard` without those whose key is lost.

    Returns how many values were encrypted anew, and the names of the secrets that were removed.
    """
    keyring = given_keyring(settings)
    if keyring is None:
        raise StartError(f"There is no key: neither in {VARIABLE} nor in {key_file(settings)}.")
    async with _database(settings) as database:
        discarded = await discard_unreadable(database, keyring, ACTOR) if discard else []
        return await rotate_secrets(database, keyring), discarded


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Database]:
    database = Database(database_url(settings), pool_size=2)
    try:
        await require_database(database, settings)
        yield database
    finally:
        await database.close()
