"""What every resolver gets as `info.context`: one for each operation."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from strawberry.dataloader import DataLoader
from strawberry.types import Info as StrawberryInfo

from commandcenter.access.scope import Scope
from commandcenter.executions.queries import find_executions
from commandcenter.executions.records import Execution
from commandcenter.projects.queries import find_projects
from commandcenter.projects.records import Project
from commandcenter.sandboxes.queries import find_sandboxes
from commandcenter.sandboxes.records import Sandbox
from commandcenter.secrets.queries import find_secrets
from commandcenter.secrets.records import Secret
from commandcenter.services import Services
from commandcenter.snapshots.queries import find_snapshots
from commandcenter.snapshots.records import Snapshot
from resolvers.file_reads import FileReads

Item = TypeVar("Item")
Find = Callable[[AsyncSession, Scope, Sequence[UUID]], Awaitable[dict[UUID, Item]]]

# More ids than this in one operation are loaded in several queries.
_LARGEST_LOAD = 500


class Context:
    """The caller's scope, our means, and loaders that read what many fields ask for at once."""

    def __init__(self, services: Services, scope: Scope) -> None:
        self.services = services
        self.scope = scope
        self.sandboxes: DataLoader[UUID, Sandbox | None] = self._loader(find_sandboxes)
        self.executions: DataLoader[UUID, Execution | None] = self._loader(find_executions)
        self.snapshots: DataLoader[UUID, Snapshot | None] = self._loader(find_snapshots)
        self.projects: DataLoader[UUID, Project | None] = self._loader(find_projects)
        self.secrets: DataLoader[UUID, Secret | None] = self._loader(find_secrets)
        self.file_reads = FileReads(services)

    def _loader(self, find: Find[Item]) -> DataLoader[UUID, Item | None]:
        async def load(ids: list[UUID]) -> list[Item | None]:
            async with self.services.database.transaction(self.scope.project_id) as session:
                found = await find(session, self.scope, ids)
            return [found.get(one) for one in ids]

        return DataLoader(load, max_batch_size=_LARGEST_LOAD)


Info = StrawberryInfo[Context, None]
