"""A database as the domain sees it."""

from collections.abc import AsyncIterator

import pytest

from commandcenter.database import Database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database by a pool of one connection, so that each transaction gets the one that was used before."""
    opened = Database(database_url, pool_size=1)
    yield opened
    await opened.close()
