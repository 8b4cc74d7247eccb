"""Making and deleting snapshots come to an end whatever the provider does and whoever dies."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from commandcenter.clock import now
from commandcenter.snapshots.create import CreateSnapshot, create_snapshot
from commandcenter.snapshots.delete import delete_snapshot
from commandcenter.snapshots.names import name_at_provider
from commandcenter.snapshots.records import Snapshot
from commandcenter.snapshots.settle import settle_snapshots
from commandcenter.snapshots.states import SnapshotStatus
from tests.providers.wire import answer, error
from tests.sandboxes.wired import Wired, wired

__all__ = ["wired"]

NOT_NOW = error(503, "not now")


async def stored(wired: Wired, snapshot: Snapshot) -> Snapshot | None:
    """A snapshot's record, also of one that is to be deleted."""
    async with wired.services.database.transaction(wired.scope.project_id) as session:
        return await session.scalar(select(Snapshot).where(Snapshot.id == snapshot.id))


async def change(wired: Wired, snapshot: Snapshot, **values: Any) -> None:
    """Change what is stored of a snapshot."""
    async with wired.services.database.transaction(wired.scope.project_id) as session:
        await session.execute(update(Snapshot).where(Snapshot.id == snapshot.id).values(**values))


async def in_doubt(wired: Wired) -> Snapshot:
    """A snapshot whose maker got no answer."""
    sandbox = await wired.add()
    wired.answers("POST", sandbox, NOT_NOW, "/snapshots")
    snapshot = await create_snapshot(wired.services, wired.scope, sandbox.id, CreateSnapshot())
    assert snapshot.status is SnapshotStatus.CREATING
    assert "found out" in (snapshot.status_reason or "")
    assert (await wired.read(sandbox.id)).action is None
    return snapshot


def listed(wired: Wired, snapshot: Snapshot) -> str:
    """Let the provider list a snapshot; its name there."""
    name = f"team/{name_at_provider(wired.services.instance_id, snapshot)}:default"
    wired.wire.answers["GET", "/snapshots"] = answer(200, [{"snapshotID": name, "names": [name]}])
    return name


@pytest.mark.parametrize("died", [False, True])
async def test_a_snapshot_in_doubt_is_found_by_its_name(wired: Wired, died: bool) -> None:
    snapshot = await in_doubt(wired)
    wired.wire.answers["GET", "/snapshots"] = answer(200, [])
    if died:
        await change(wired, snapshot, action_until=now() + timedelta(seconds=60))
        name = listed(wired, snapshot)
        await settle_snapshots(wired.other)
        current = await stored(wired, snapshot)
        assert current is not None
        assert current.status is SnapshotStatus.CREATING, "its maker may live"
        await change(wired, snapshot, action_until=now() - timedelta(seconds=1))
    else:
        await settle_snapshots(wired.other)
        name = listed(wired, snapshot)
        await change(wired, snapshot, retry_at=now() - timedelta(seconds=1))
    await settle_snapshots(wired.other)
    current = await stored(wired, snapshot)
    assert current is not None
    assert (current.status, current.provider_snapshot_id) == ("READY", name)
    kinds = [event.kind for event in await wired.events(snapshot.sandbox_id)]
    assert kinds == ["snapshot.requested", "snapshot.created"]


async def test_a_snapshot_that_was_not_made_has_failed(wired: Wired) -> None:
    snapshot = await in_doubt(wired)
    wired.wire.answers["GET", "/snapshots"] = NOT_NOW
    await change(wired, snapshot, created_at=now() - timedelta(seconds=300))
    await settle_snapshots(wired.services)
    current = await stored(wired, snapshot)
    assert current is not None
    assert (current.status, current.failed_attempts) == ("CREATING", 1), "its provider did not say"
    wired.wire.answers["GET", "/snapshots"] = answer(200, [])
    await change(wired, snapshot, retry_at=None)
    await settle_snapshots(wired.services)
    current = await stored(wired, snapshot)
    assert current is not None
    assert current.status is SnapshotStatus.FAILED
    assert "not made" in (current.status_reason or "")


async def test_a_deletion_comes_once_the_provider_answers(wired: Wired) -> None:
    snapshot = await in_doubt(wired)
    name = listed(wired, snapshot)
    await settle_snapshots(wired.services)
    path = f"/templates/{name}"
    wired.wire.answers["DELETE", path] = NOT_NOW
    await delete_snapshot(wired.services, wired.scope, snapshot.id)
    for _ in range(2):
        await settle_snapshots(wired.other)
    assert sum(one.method == "DELETE" and one.path == path for one in wired.wire.received) == 1
    with pytest.raises(Exception, match="no such snapshot"):
        await delete_snapshot(wired.services, wired.scope, snapshot.id)
    wired.wire.answers["DELETE", path] = answer(204)
    await change(wired, snapshot, retry_at=now() - timedelta(seconds=1))
    await settle_snapshots(wired.other)
    assert await stored(wired, snapshot) is None
    assert [event.kind for event in await wired.events(snapshot.sandbox_id)][-1] == "snapshot.deleted"


async def test_a_refused_snapshot_leaves_nothing(wired: Wired) -> None:
    sandbox = await wired.add()
    wired.answers("POST", sandbox, error(400, "no snapshots here"), "/snapshots")
    with pytest.raises(Exception, match="no snapshots here"):
        await create_snapshot(wired.services, wired.scope, sandbox.id, CreateSnapshot())
    async with wired.services.database.transaction(wired.scope.project_id) as session:
        assert await session.scalar(select(Snapshot).where(Snapshot.sandbox_id == sandbox.id)) is None
    assert (await wired.read(sandbox.id)).action is None
    kinds = [event.kind for event in await wired.events(sandbox.id)]
    assert kinds == ["snapshot.requested", "snapshot.refused"]
