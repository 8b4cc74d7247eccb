"""The domain by itself, on a database that no worker looks after, and a provider that answers as told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update
from starlette.requests import Request
from starlette.responses import Response

from commandcenter.access.bootstrap import bootstrap
from commandcenter.access.scope import Role, Scope
from commandcenter.events.records import Event
from commandcenter.identifiers import new_id
from commandcenter.projects.records import Project
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.services import Services, open_services
from commandcenter.settings import Settings
from tests.providers.wire import Answer, WireServer, answer, detail, wire_server

PROVIDER = "e2b"


@dataclass(frozen=True)
class Wired:
    """Two processes' means, one project, and the provider on the wire."""

    services: Services
    other: Services
    wire: WireServer
    scope: Scope

    async def add(self, **values: Any) -> Sandbox:
        """A running sandbox that the provider has, with an id of its own there."""
        there = f"i{new_id().hex}"
        given: dict[str, Any] = {
            "id": new_id(),
            "project_id": self.scope.project_id,
            "provider": PROVIDER,
            "provider_sandbox_id": there,
            "template": "base",
            "status": SandboxStatus.RUNNING,
            "ttl_seconds": 3600,
            "incarnation": 1,
            "created_by": "system:tests",
            **values,
        }
        self.wire.answers["GET", f"/sandboxes/{there}"] = answer(200, {**detail(), "sandboxID": there})
        async with self.services.database.transaction(self.scope.project_id) as session:
            session.add(Sandbox(**given))
        return await self.read(given["id"])

    async def read(self, sandbox_id: UUID) -> Sandbox:
        """A sandbox as it is stored."""
        async with self.services.database.transaction(self.scope.project_id) as session:
            return await session.get_one(Sandbox, sandbox_id)

    async def change(self, sandbox_id: UUID, **values: Any) -> None:
        """Change what is stored of a sandbox."""
        async with self.services.database.transaction(self.scope.project_id) as session:
            await session.execute(update(Sandbox).where(Sandbox.id == sandbox_id).values(**values))

    async def events(self, sandbox_id: UUID) -> list[Event]:
        """What happened to a sandbox, in order."""
        async with self.services.database.transaction(self.scope.project_id) as session:
            query = select(Event).where(Event.sandbox_id == sandbox_id).order_by(Event.id)
            return list(await session.scalars(query))

    def answers(self, method: str, sandbox: Sandbox, given: Answer, below: str = "") -> None:
        """Give the provider's answer to a request about a sandbox."""
        self.wire.answers[method, f"/sandboxes/{sandbox.provider_sandbox_id}{below}"] = given

    def asked(self, method: str, sandbox: Sandbox, below: str = "") -> int:
        """How often the provider was asked something about a sandbox."""
        path = f"/sandboxes/{sandbox.provider_sandbox_id}{below}"
        return sum((one.method, one.path) == (method, path) for one in self.wire.received)


class Held:
    """An answer that is on its way until the test lets it arrive."""

    def __init__(self, given: Answer) -> None:
        self._given = given
        self.asked = asyncio.Event()
        self.arrives = asyncio.Event()

    async def __call__(self, request: Request) -> Response:
        self.asked.set()
        await self.arrives.wait()
        return await self._given(request)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.02)


async def open_domain(
    stack: AsyncExitStack, settings: Settings, folder: Path
) -> tuple[Services, Services, Scope]:
    """Two processes' means on a new database, and an operator of its project, until `stack` is closed."""
    services = await stack.enter_async_context(open_services(settings))
    other = await stack.enter_async_context(open_services(settings))
    await bootstrap(services.database, folder / "admin.key")
    async with services.database.system_transaction() as session:
        project = (await session.scalars(select(Project))).one()
    return services, other, Scope(project.id, Role.OPERATOR, "key:tests")


@pytest.fixture(scope="module")
async def wired(
    database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Wired]:
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(wire_server())
        settings = Settings(
            database_url=database_url,
            redis_url=redis_url,
            e2b_api_key="key",
            e2b_api_url=wire.url,
            e2b_sandbox_url=wire.url,
            default_provider=PROVIDER,
        )
        services, other, scope = await open_domain(stack, settings, tmp_path_factory.mktemp("wired"))
        yield Wired(services, other, wire, scope)
