"""Leases: which process of ours reads an execution, and for how long without saying so again.

A process renews the leases of all that it owns together. What nobody renews any more was owned by a process
that died.
"""

import asyncio
from datetime import timedelta

import structlog
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from commandcenter.access.scope import system_scope
from commandcenter.clock import now
from commandcenter.executions.changes import announce_execution, change_execution
from commandcenter.executions.records import Execution
from commandcenter.executions.states import ENDED, ExecutionStatus
from commandcenter.logs.records import LogChunkRecord, LogStream
from commandcenter.services import Services

_log = structlog.get_logger()

LEASE = timedelta(seconds=12)
_RENEW_SECONDS = 3.0
_MOST_AT_ONCE = 500


_OWNER_DIED = "The process of CommandCenter that read it ended before the command did."


async def renew_leases(services: Services) -> None:
    """Renew this process's leases until cancelled."""
    while True:
        await asyncio.sleep(_RENEW_SECONDS)
        try:
            async with services.database.system_transaction() as session:
                await session.execute(
                    update(Execution)
                    .where(Execution.owner == services.process_id, Execution.status.not_in(ENDED))
                    .values(lease_until=now() + LEASE)
                )
        except (SQLAlchemyError, OSError) as error:
            _log.warning("leases.renew_failed", error=str(error)[:500])


async def release_leases(services: Services) -> None:
    """Let go of everything that this process owns, because it stops: others need not wait for the leases."""
    async with services.database.system_transaction() as session:
        await session.execute(
            update(Execution)
            .where(Execution.owner == services.process_id, Execution.status.not_in(ENDED))
            .values(lease_until=now())
        )


async def settle_abandoned(services: Services) -> int:
    """Say LOST of executions whose owner died: their end was not seen. Returns how many."""
    async with services.database.system_transaction() as session:
        abandoned = list(
            await session.scalars(
                select(Execution)
                .where(Execution.status.not_in(ENDED), Execution.lease_until < now())
                .limit(_MOST_AT_ONCE)
            )
        )
    for execution in abandoned:
        scope = system_scope(execution.project_id, "leases")
        async with services.database.transaction(execution.project_id) as session:
            lost = await change_execution(
                session,
                scope,
                execution.id,
                ExecutionStatus.LOST,
                status_reason=_OWNER_DIED,
                last_sequence=Execution.last_sequence + 1,
            )
            if lost is not None:
                session.add(_gap(lost))
        if lost is not None:
            announce_execution(services.signals, lost)
    return len(abandoned)


def _gap(execution: Execution) -> LogChunkRecord:
    """What is said of the output that nobody read."""
    return LogChunkRecord(
        execution_id=execution.id,
        sequence=execution.last_sequence,
        project_id=execution.project_id,
        stream=LogStream.PTY if execution.is_terminal else LogStream.STDOUT,
        offset=execution.terminal_bytes if execution.is_terminal else execution.stdout_bytes,
        data=b"",
        at=now(),
        gap_reason=_OWNER_DIED,
    )
