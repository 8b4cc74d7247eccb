"""What the product is compared with on the network: a plain Starlette application without GraphQL.

It lists the same sandboxes from the same database, and sends the same frames over a WebSocket. Served as
the product's web process is, in a process of its own.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from commandcenter.settings import Settings
from web.server import server_configuration

PORT, DATABASE, PROJECT, FRAMES = "PLAIN_PORT", "PLAIN_DATABASE", "PLAIN_PROJECT", "PLAIN_FRAMES"

_LIST = """
    SELECT id::text AS id, name, status, provider, template, created_at, expires_at, cpu_count
    FROM sandboxes WHERE project_id = $1 AND sandboxes.id < $2 ORDER BY sandboxes.id DESC LIMIT 51
"""


def create_application() -> Starlette:
    """The application, with a pool of connections that see one project."""
    project = os.environ[PROJECT]
    project_id = UUID(project)
    frames = Path(os.environ[FRAMES]).read_text().splitlines()

    @asynccontextmanager
    async def lifespan(application: Starlette) -> AsyncIterator[None]:
        async with asyncpg.create_pool(
            os.environ[DATABASE], max_size=20, server_settings={"commandcenter.project_id": project}
        ) as pool:
            application.state.pool = pool
            yield

    async def list_sandboxes(request: Request) -> Response:
        after = UUID(request.query_params["after"])
        rows = await request.app.state.pool.fetch(_LIST, project_id, after)
        body = {"sandboxes": [dict(row) for row in rows[:50]], "has_next": len(rows) > 50}
        return Response(orjson.dumps(body), media_type="application/json")

    async def send_frames(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive_text()
        for frame in frames:
            await websocket.send_text(frame)
        await websocket.close()

    async def ready(_request: Request) -> Response:
        return Response()

    return Starlette(
        routes=[
            Route("/readyz", ready),
            Route("/sandboxes", list_sandboxes),
            WebSocketRoute("/frames", send_frames),
        ],
        lifespan=lifespan,
    )


if __name__ == "__main__":
    served = Settings(host="127.0.0.1", port=int(os.environ[PORT]))
    uvicorn.Server(server_configuration(create_application, served)).run()
