"""A server that speaks E2B's protocol on the wire and answers exactly what a test tells it to."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Answer = Callable[[Request], Awaitable[Response]]
SANDBOX_ID = "isandbox1"


@dataclass
class Received:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WireServer:
    """The address, what arrived, and what is answered: `answers[("POST", "/v2/sandboxes")] = …`."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: Request) -> Response:
        path = request.url.path
        body = b"" if path == "/files" else await request.body()
        self.received.append(Received(request.method, path, dict(request.headers), body))
        self.arrived.set()
        answer = self.answers.get((request.method, path))
        if answer is None:
            return JSONResponse({"code": 404, "message": f"no answer for {request.method} {path}"}, 404)
        return await answer(request)

    def reset(self) -> None:
        """Forget what arrived and answer as a healthy provider with one running sandbox."""
        self.received.clear()
        self.arrived.clear()
        sandbox = f"/sandboxes/{SANDBOX_ID}"
        self.answers = {
            ("POST", "/v2/sandboxes"): answer(201, created()),
            ("GET", "/v2/sandboxes"): answer(200, []),
            ("GET", sandbox): answer(200, detail()),
            ("DELETE", sandbox): answer(204),
            ("POST", f"{sandbox}/pause"): answer(204),
            ("POST", f"{sandbox}/timeout"): answer(204),
            ("GET", "/health"): answer(204),
        }


def created() -> dict[str, Any]:
    return {
        "templateID": "base",
        "sandboxID": SANDBOX_ID,
        "clientID": "c",
        "envdVersion": "0.6.13",
        "envdAccessToken": "token",
        "domain": "sandboxes.test",
    }


def detail(state: str = "running") -> dict[str, Any]:
    times = {"startedAt": "2026-11-23T00:00:00Z", "endAt": "2026-11-23T01:00:00Z"}
    sizes = {"cpuCount": 2, "memoryMB": 512, "diskSizeMB": 1024}
    return {**created(), **times, **sizes, "alias": "base", "state": state, "metadata": {"mark": "m"}}


def answer(status: int, body: object = None, headers: dict[str, str] | None = None) -> Answer:
    """Always the same; `bytes` are sent as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()

    async def give(request: Request) -> Response:
        return Response(content, status, headers, media_type="application/json")

    return give


def error(status: int, message: str, headers: dict[str, str] | None = None) -> Answer:
    return answer(status, {"code": status, "message": message}, headers)


def never(request: Request) -> Awaitable[Response]:
    """No answer until the client goes away."""

    async def wait() -> Response:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        return Response()

    return wait()


def frame(message: object, flags: int = 0) -> bytes:
    """A Connect envelope around a JSON message."""
    content = json.dumps(message).encode()
    return struct.pack(">BI", flags, len(content)) + content


def started(pid: int = 7) -> bytes:
    return frame({"event": {"start": {"pid": pid}}})


def finished(error: dict[str, str] | None = None) -> bytes:
    """The frame that ends a stream, with a Connect error or without."""
    return frame({"error": error} if error else {}, flags=2)


def stream(*frames: bytes, then: Callable[[], Awaitable[object]] | None = None) -> Answer:
    """A Connect stream of `frames`; `then` may wait, or raise to break the connection off."""

    async def content() -> AsyncIterator[bytes]:
        for piece in frames:
            yield piece
        if then is not None:
            await then()

    async def give(request: Request) -> Response:
        return StreamingResponse(content(), media_type="application/connect+json")

    return give


async def break_off() -> None:
    raise ConnectionAbortedError("the test breaks the connection off")


@asynccontextmanager
async def wire_server() -> AsyncIterator[WireServer]:
    """Serve on a free port of this machine."""
    wire = WireServer()
    wire.reset()
    async with serving(wire):
        yield wire


@asynccontextmanager
async def serving(wire: WireServer) -> AsyncIterator[None]:
    """Serve what a wire answers, on a free port of this machine."""
    methods = ["GET", "POST", "DELETE", "PUT"]
    app = Starlette(routes=[Route("/{path:path}", wire.handle, methods=methods)])
    # asyncio turns off Nagle's delay only for sockets made as TCP by name.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    wire.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_config=None, log_level="critical", lifespan="off", timeout_graceful_shutdown=1
        )
    )
    task = asyncio.create_task(server._serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await task
        listener.close()
