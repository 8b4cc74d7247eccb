"""What tests of timers and the sweep need besides the product: its services, and sandboxes made beside it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import update

from commandcenter.clock import now
from commandcenter.identifiers import new_id
from commandcenter.providers.accounts import ProviderAccount
from commandcenter.providers.sandboxes import Provider
from commandcenter.sandboxes.marks import INSTANCE_MARK, SANDBOX_MARK
from commandcenter.sandboxes.patience import Patience
from commandcenter.sandboxes.reconcile import reconcile
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus
from commandcenter.services import Services, open_services
from commandcenter.settings import Settings
from tests.fixtures.product import Product, Project
from tests.providers.wire import WireServer

AT_ONCE = Patience(orphan=timedelta(0))


def product_services(product: Product, **settings: Any) -> AbstractAsyncContextManager[Services]:
    """The means of one more process of the product, as a worker has them."""
    return open_services(
        Settings(
            home=product.home.folder,
            database_url=product.database_url,
            redis_url=product.redis_url,
            runtime_url=product.runtime.url,
            runtime_api_key=SecretStr(product.runtime.api_key),
            **settings,
        )
    )


async def sweep(services: Services, patience: Patience | None = None, provider: str = "local") -> None:
    """One sweep of a provider."""
    await reconcile(services, services.providers.get(provider), patience or Patience())


def wired_provider(wire: WireServer) -> Provider:
    """A provider of the runtime's kind whose answers the test gives."""
    return Provider(ProviderAccount("wired", "local", "key", wire.url, wire.url, "test"), request_seconds=5)


async def add_record(project: Project, **values: Any) -> UUID:
    """The id of a sandbox's record that no creation stands behind."""
    given: dict[str, Any] = {
        "id": new_id(),
        "project_id": project.id,
        "provider": "local",
        "template": "base",
        "status": SandboxStatus.RUNNING,
        "ttl_seconds": 3600,
        "incarnation": 1,
        "created_by": "system:tests",
        **values,
    }
    async with project.product.database.transaction(project.id) as session:
        session.add(Sandbox(**given))
    record_id: UUID = given["id"]
    return record_id


async def read_record(project: Project, sandbox_id: UUID) -> Sandbox:
    """A sandbox's record."""
    async with project.product.database.transaction(project.id) as session:
        return await session.get_one(Sandbox, sandbox_id)


async def change_record(project: Project, sandbox_id: UUID, **values: Any) -> None:
    """Change what is stored of a sandbox, as a process that died half-way would leave it."""
    async with project.product.database.transaction(project.id) as session:
        await session.execute(update(Sandbox).where(Sandbox.id == sandbox_id).values(**values))


@asynccontextmanager
async def made_beside(
    project: Project, marks: Callable[[str, str], dict[str, str]], services: Services, record_id: UUID
) -> AsyncIterator[str]:
    """The provider's id of a sandbox that was made at the runtime without the product."""
    client = project.product.runtime.client
    metadata = marks(str(services.instance_id), str(record_id))
    made = await client.AsyncSandbox.create(timeout=120, metadata=metadata)
    try:
        yield made.sandbox_id
    finally:
        await client.AsyncSandbox.kill(made.sandbox_id)


def our_marks(instance_id: str, record_id: str) -> dict[str, str]:
    """The marks of this installation."""
    return {INSTANCE_MARK: instance_id, SANDBOX_MARK: record_id}


def foreign_marks(_: str, record_id: str) -> dict[str, str]:
    """The marks of another installation."""
    return {INSTANCE_MARK: str(new_id()), SANDBOX_MARK: record_id}


async def is_at_runtime(project: Project, provider_id: str) -> bool:
    """Whether the runtime has a sandbox."""
    runtime = project.product.runtime
    answer = await project.product.http.get(
        f"{runtime.url}/sandboxes/{provider_id}", headers={"X-API-Key": runtime.api_key}
    )
    return answer.status_code == 200


def ago(seconds: float) -> Any:
    """A moment in the past."""
    return now() - timedelta(seconds=seconds)
