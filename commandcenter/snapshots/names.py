"""The names that our snapshots have at a provider: by them they are found again, and told from others'."""

import re
from uuid import UUID

from commandcenter.snapshots.records import Snapshot

_NAME = re.compile(r"cc-([0-9a-f]{12})-([0-9a-f]{32})")


def name_at_provider(instance_id: UUID, snapshot: Snapshot) -> str:
    """The name under which a snapshot of this installation is kept."""
    return f"cc-{_short(instance_id)}-{snapshot.id.hex}"


def snapshot_named(instance_id: UUID, template: str) -> UUID | None:
    """Which snapshot of this installation a template's name means, if it means one."""
    found = _NAME.search(template.lower())
    return UUID(hex=found[2]) if found and found[1] == _short(instance_id) else None


def _short(instance_id: UUID) -> str:
    # The end of a UUIDv7 is random; its beginning is the time.
    return instance_id.hex[-12:]
