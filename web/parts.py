"""What the web application is made of while it runs, and how an endpoint reaches it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from starlette.requests import HTTPConnection
from starlette.types import Scope

from commandcenter.database import Database
from commandcenter.services import Services
from web.graphql.service import GraphQLService
from web.health import Check
from web.refusals import RefusedRequestError

STATE_KEY = "parts"


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a running web application.

    `metrics` gives the text of `/metrics`; `is_secure` says that people reach us by HTTPS only. `services`
    are None where another schema than the product's is served: then there are no files and no output.
    """

    database: Database
    graphql: GraphQLService
    checks: dict[str, Check]
    metrics: Callable[[], Awaitable[bytes]]
    is_secure: bool = False
    services: Services | None = None


def parts_of(connection: HTTPConnection) -> Parts:
    """The parts of the application that serves a request."""
    return parts_in(connection.scope)


def services_of(connection: HTTPConnection) -> Services:
    """The domain's services, for an endpoint that works with them."""
    services = parts_of(connection).services
    if services is None:
        raise RefusedRequestError("There is nothing here.", status=404)
    return services


def parts_in(scope: Scope) -> Parts:
    """The parts of the application that an ASGI scope belongs to."""
    return cast("Parts", scope["state"][STATE_KEY])
