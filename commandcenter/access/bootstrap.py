"""The first start: the project `default` and an administrator's key for it."""

import os
from pathlib import Path

from sqlalchemy import select, text

from commandcenter.access.scope import Role, Scope
from commandcenter.database import Database
from commandcenter.events.actions import record_event
from commandcenter.keys.actions import create_key
from commandcenter.keys.records import ApiKey
from commandcenter.projects.records import Project

DEFAULT_PROJECT = "default"
_BOOTSTRAP_LOCK = 7_203_118_443


async def bootstrap(database: Database, key_file: Path) -> str | None:
    """Make the project `default` and its first key, where they do not exist yet.

    The key is written to `key_file` (mode 0600) and returned, the only time; None when there was nothing
    to do. Safe to call by several processes at once.
    """
    async with database.system_transaction() as session:
        await session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _BOOTSTRAP_LOCK})
        project = await session.scalar(select(Project).where(Project.name == DEFAULT_PROJECT))
        if project is None:
            project = Project(name=DEFAULT_PROJECT)
            session.add(project)
            await session.flush()
        if await session.scalar(select(ApiKey.id).where(ApiKey.is_instance_administrator).limit(1)):
            return None
        scope = Scope(
            project_id=project.id,
            role=Role.ADMINISTRATOR,
            actor="system:bootstrap",
            is_instance_administrator=True,
        )
        record_event(session, scope, "project.created", project.id, name=project.name)
        _, secret = await create_key(
            session, scope, name="administrator", role=Role.ADMINISTRATOR, is_instance_administrator=True
        )
        _write_key(key_file, secret)
        return secret


def _write_key(key_file: Path, secret: str) -> None:
    key_file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(secret + "\n")
