"""A served small schema with a real database behind its keys."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from commandcenter.access.authentication import authenticate_key
from commandcenter.access.bootstrap import bootstrap
from commandcenter.database import Database
from tests.web.serving import Site, serving


@dataclass(frozen=True)
class FirstKey:
    """The administrator's key of a new installation."""

    database: Database
    project_id: UUID
    secret: str


@pytest.fixture(scope="module")
async def first_key(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FirstKey]:
    """A database with the default project and its administrator's key."""
    database = Database(database_url, pool_size=5)
    folder: Path = tmp_path_factory.mktemp("home")
    secret = await bootstrap(database, folder / "admin.key")
    assert secret is not None
    scope = await authenticate_key(database, secret)
    assert scope is not None
    yield FirstKey(database, scope.project_id, secret)
    await database.close()


@pytest.fixture(scope="module")
async def site(first_key: FirstKey) -> AsyncIterator[Site]:
    """A running server with the small schema."""
    async with serving(first_key.database, first_key.project_id, first_key.secret) as running:
        yield running
