"""The web application: what is served where, and what it runs on."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from commandcenter.settings import get_settings
from web.assembly import open_parts
from web.files import receive_file, send_file
from web.graphql.http import serve_request
from web.graphql.media_types import wants_page
from web.graphql.websocket import serve_socket
from web.health import answer_alive, answer_ready
from web.logs import send_output
from web.metrics import show_metrics
from web.parts import STATE_KEY, Parts, parts_in, parts_of
from web.playground import ASSETS_PATH, PlaygroundAssets, show_playground
from web.rates import RateLimitHeaders
from web.sign_in import PLAYGROUND, show_sign_in, submit_sign_in, submit_sign_out


def create_application() -> Starlette:
    """The application on the settings of this process."""
    return build_application(lambda: open_parts(get_settings()))


def build_application(open_parts: Callable[[], AbstractAsyncContextManager[Parts]]) -> Starlette:
    """The application, its parts opened when the server starts and closed when it stops."""

    @asynccontextmanager
    async def lifespan(_application: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with open_parts() as parts:
            yield {STATE_KEY: parts}

    return Starlette(
        lifespan=lifespan,
        middleware=[Middleware(RateLimitHeaders)],
        routes=[
            Route("/", _lead_to_playground, methods=["GET"]),
            Route("/graphql", _GraphQL()),
            WebSocketRoute("/graphql", _GraphQL()),
            Route("/sign-in", show_sign_in, methods=["GET"]),
            Route("/sign-in", submit_sign_in, methods=["POST"]),
            Route("/sign-out", submit_sign_out, methods=["POST"]),
            Route("/healthz", _alive, methods=["GET"]),
            Route("/readyz", _ready, methods=["GET"]),
            Route("/metrics", show_metrics, methods=["GET"]),
            Route("/files", receive_file, methods=["PUT"]),
            Route("/files/{token}", send_file, methods=["GET"]),
            Route("/executions/{execution_id}/logs/{stream}", send_output, methods=["GET"]),
            Mount(ASSETS_PATH, PlaygroundAssets()),
        ],
    )


class _GraphQL:
    """`/graphql`: the API for programs, the playground for people who open it in a browser."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = parts_in(scope).graphql
        if scope["type"] == "websocket":
            await serve_socket(service, scope, receive, send)
            return
        request = Request(scope, receive)
        if _is_visit(request):
            page = await show_playground(request)
            await page(scope, receive, send)
        else:
            await serve_request(service, scope, receive, send)


def _is_visit(request: Request) -> bool:
    is_query = "query" in request.query_params
    return request.method == "GET" and wants_page(request.headers.get("accept")) and not is_query


async def _lead_to_playground(_request: Request) -> Response:
    return RedirectResponse(PLAYGROUND, status_code=303)


async def _alive(_request: Request) -> Response:
    return answer_alive()


async def _ready(request: Request) -> Response:
    return await answer_ready(parts_of(request).checks)
