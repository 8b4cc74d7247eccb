from collections.abc import AsyncIterator

import pytest

from tests.fixtures.product import Product
from tests.sandboxes.clouded import Clouded, clouded_product


@pytest.fixture(scope="package")
async def shared_cloud(product: Product) -> AsyncIterator[Clouded]:
    async with clouded_product(product) as clouded:
        yield clouded


@pytest.fixture
async def clouded(shared_cloud: Clouded) -> Clouded:
    """A product that makes sandboxes at a healthy cloud which remembers nothing."""
    await shared_cloud.begin()
    return shared_cloud
