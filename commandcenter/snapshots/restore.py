"""What a new sandbox is made from, where that is a snapshot."""

from uuid import UUID

from commandcenter.access.scope import Scope
from commandcenter.errors import InvalidError
from commandcenter.services import Services
from commandcenter.snapshots.errors import SnapshotStateError
from commandcenter.snapshots.names import snapshot_named
from commandcenter.snapshots.queries import get_snapshot

_FIELD = "template"


async def resolve_template(
    services: Services, scope: Scope, provider: str | None, template: str | None, snapshot_id: UUID | None
) -> tuple[str | None, str | None]:
    """The provider and the template that a request means; unchanged where it means no snapshot.

    A snapshot is meant by its id, or by its name at its provider; another project's is not there
    (`SnapshotNotFoundError`). `SnapshotStateError` for one that is not ready, `InvalidError` where it is kept
    by another provider than the one asked for.
    """
    meant = snapshot_id or snapshot_named(services.instance_id, template or "")
    if meant is None:
        return provider, template
    async with services.database.transaction(scope.project_id) as session:
        snapshot = await get_snapshot(session, scope, meant, _FIELD)
    if snapshot.provider_snapshot_id is None:
        raise SnapshotStateError(snapshot, _FIELD)
    if provider not in (None, snapshot.provider):
        raise InvalidError(
            f"The snapshot is kept by the provider {snapshot.provider}. Give that one, or none.",
            ("provider",),
        )
    return snapshot.provider, snapshot.provider_snapshot_id
