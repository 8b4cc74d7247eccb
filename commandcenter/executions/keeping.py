"""What a process of ours does for executions all the time: keep its own, and take over those of the dead."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from commandcenter.executions.leases import release_leases, renew_leases
from commandcenter.executions.takeover import take_over_regularly
from commandcenter.services import Services


@asynccontextmanager
async def executions_kept(services: Services) -> AsyncIterator[None]:
    """Renew leases and take executions over for as long as the block runs; then leave ours to others."""
    renewal = asyncio.create_task(renew_leases(services), name="renew-leases")
    takeover = asyncio.create_task(take_over_regularly(services), name="take-over-executions")
    try:
        yield
    finally:
        takeover.cancel()
        # First the work, then the leases: others must not take up what is still at work here.
        await services.background.stop()
        renewal.cancel()
        await asyncio.gather(renewal, takeover, return_exceptions=True)
        await release_leases(services)
