"""One installation for all tests that do damage; each leaves it healed."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from tests.faults.stack import Stack, running_stack
from tests.fixtures.product import Project


@pytest.fixture(scope="session")
async def running(short_folder: Path) -> AsyncIterator[Stack]:
    """The installation, whatever a test has done to it."""
    async with running_stack(short_folder / "faults") as started:
        yield started


@pytest.fixture
async def stack(running: Stack) -> AsyncIterator[Stack]:
    """The installation, healed after the test."""
    yield running
    await running.heal()


@pytest.fixture
async def project(stack: Stack) -> Project:
    """A project of the test's own."""
    return await stack.product.new_project(max_sandboxes=100)


@pytest.fixture
def chance(pytestconfig: pytest.Config) -> Random:
    """What decides by chance; its seed is shown where a test fails."""
    seed = pytestconfig.getoption("--fault-seed")
    if seed is None:
        seed = secrets.randbelow(2**32)
    print(f"To have the same faults again: --fault-seed {seed}")
    return Random(seed)


@pytest.fixture
def soak_minutes(pytestconfig: pytest.Config) -> float:
    """How long a soak test shall last; 0 where it shall be as short as in CI."""
    minutes: float = pytestconfig.getoption("--minutes")
    return minutes


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give a soak test its time."""
    if minutes := config.getoption("--minutes"):
        for item in items:
            item.add_marker(pytest.mark.timeout(60 * minutes + 600), append=False)
