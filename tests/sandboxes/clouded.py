"""Processes of the product whose provider `e2b` is a cloud of the test's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr
from sqlalchemy import delete, func, select, update

from commandcenter.access.scope import Role, Scope
from commandcenter.sandboxes.create import CreateSandbox
from commandcenter.sandboxes.records import ProviderQueue, Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.services import Services
from tests.fixtures.client import Client
from tests.fixtures.product import Product, Project, WebProcess, web_process
from tests.providers.wire import serving
from tests.sandboxes.cloud import Cloud
from tests.sandboxes.sweeping import product_services

A_SECOND = 4
E2B = CreateSandbox(provider="e2b")


@dataclass(frozen=True)
class Clouded:
    """A cloud, and two web processes that make sandboxes there, four a second at most.

    Requests are answered after a second where the sandbox is still being made.
    """

    product: Product
    cloud: Cloud
    environment: dict[str, str]
    webs: tuple[WebProcess, ...]

    def client(self, project: Project, web: int = 0) -> Client:
        """A client of one of the two."""
        return project.client_of(self.webs[web])

    def another(self, **environment: str) -> AbstractAsyncContextManager[WebProcess]:
        """One more web process, for the length of the block."""
        return web_process({**self.environment, **environment})

    def services(self, **settings: Any) -> AbstractAsyncContextManager[Services]:
        """The means of one more process."""
        return product_services(
            self.product,
            **{
                "e2b_api_key": SecretStr("key"),
                "e2b_api_url": self.cloud.url,
                "e2b_sandbox_url": self.cloud.url,
                "e2b_creates_per_second": 0,
                "e2b_sandboxes_at_once": 0,
                **settings,
            },
        )

    async def begin(self) -> None:
        """A healthy cloud, and nothing remembered of an earlier one."""
        self.cloud.begin()
        async with self.product.database.system_transaction() as session:
            await session.execute(delete(ProviderQueue))
            await session.execute(
                update(Sandbox)
                .where(Sandbox.provider == "e2b", Sandbox.status != SandboxStatus.TERMINATED)
                .values(status=SandboxStatus.TERMINATED)
            )


@asynccontextmanager
async def clouded_product(product: Product) -> AsyncIterator[Clouded]:
    """The processes, on the product's database."""
    cloud = Cloud()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(cloud))
        environment = {
            **product.environment,
            "E2B_API_KEY": "key",
            "E2B_API_URL": cloud.url,
            "E2B_SANDBOX_URL": cloud.url,
            "COMMANDCENTER_E2B_CREATES_PER_SECOND": str(A_SECOND),
            "COMMANDCENTER_E2B_SANDBOXES_AT_ONCE": "0",
            "COMMANDCENTER_CREATION_ANSWER_SECONDS": "1",
        }
        first, second = await asyncio.gather(
            stack.enter_async_context(web_process(environment)),
            stack.enter_async_context(web_process(environment)),
        )
        yield Clouded(product, cloud, environment, (first, second))


def operator(project: Project) -> Scope:
    """What an operator of a project may."""
    return Scope(project.id, Role.OPERATOR, "system:tests")


async def recorded(project: Project, name: str) -> int:
    """How many sandboxes of a name the project has."""
    query = select(func.count()).where(Sandbox.name == name)
    async with project.product.database.transaction(project.id) as session:
        return int((await session.execute(query)).scalar_one())
