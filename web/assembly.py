"""Putting the running web application together: the domain's services behind the protocols."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from commandcenter.executions.keeping import executions_kept
from commandcenter.services import Services, open_services
from commandcenter.settings import Settings
from commandcenter.signals import key_topic
from monitoring.exposition import expose
from resolvers.context import Context
from schema.build import build_schema
from web.graphql.documents import bounded_documents
from web.graphql.limits import Limits
from web.graphql.service import GraphQLService
from web.live_credentials import LiveCredentials
from web.parts import Parts


@asynccontextmanager
async def open_parts(settings: Settings) -> AsyncIterator[Parts]:
    """The parts of the application, for as long as the block runs."""
    async with open_services(settings) as services, executions_kept(services):
        live_credentials = LiveCredentials(services.database)
        watch = asyncio.create_task(_watch_credentials(services, live_credentials), name="watch-credentials")
        try:
            yield _parts(settings, services, live_credentials)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)


def _parts(settings: Settings, services: Services, live_credentials: LiveCredentials) -> Parts:
    limits = Limits()
    return Parts(
        database=services.database,
        graphql=GraphQLService(
            schema=build_schema([bounded_documents(limits)]),
            database=services.database,
            make_context=lambda scope: Context(services, scope),
            live_credentials=live_credentials,
            limits=limits,
        ),
        checks={"database": services.database.ping, "valkey": services.signals.ping},
        metrics=lambda: expose(services),
        is_secure=settings.address.startswith("https://"),
        services=services,
    )


async def _watch_credentials(services: Services, live_credentials: LiveCredentials) -> None:
    """End the sockets of revoked keys: at once by the signal, within seconds without it."""
    with services.signals.listen(key_topic()) as listener:

        async def pause(seconds: float) -> None:
            await listener.wait(seconds)

        await live_credentials.run(pause)
