"""A provider in E2B's protocol that keeps its sandboxes, takes only so many a second, and fails at will."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from commandcenter.sandboxes.marks import PROJECT_MARK, SANDBOX_MARK
from tests.providers.wire import WireServer, created, detail, never

Mishap = Literal["none", "busy", "fail", "lose", "hold", "vanish", "refuse"]
WINDOW_SECONDS = 1.0


@dataclass
class Creation:
    """A request to make a sandbox, as it arrived."""

    at: float
    project: str
    sandbox: str
    accepted: bool


@dataclass
class Cloud(WireServer):
    """`mishaps` are what goes wrong with the next creations, in their order.

    `busy`: 503 and come back in a second. `fail`: 500, nothing made. `lose`: made, and 504. `hold`: made, and
    never answered. `vanish`: not made, and never answered. `refuse`: 400.
    """

    most_a_second: int | None = None
    retry_after: str | None = "1"
    mishaps: deque[Mishap] = field(default_factory=deque)
    creations: list[Creation] = field(default_factory=list)
    sandboxes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def begin(self) -> None:
        """Be a healthy provider without limits, and forget what was."""
        self.most_a_second, self.retry_after = None, "1"
        self.mishaps.clear()
        self.creations.clear()
        self.sandboxes.clear()

    @property
    def accepted(self) -> list[Creation]:
        return [creation for creation in self.creations if creation.accepted]

    def made_for(self, sandbox_id: object) -> list[str]:
        """The sandboxes that carry a record's mark."""
        return [
            each
            for each, had in self.sandboxes.items()
            if had["metadata"].get(SANDBOX_MARK) == str(sandbox_id)
        ]

    async def until_asked(self, times: int) -> None:
        """Wait until so many creations were asked for."""
        async with asyncio.timeout(20):
            while len(self.creations) < times:
                self.arrived.clear()
                await self.arrived.wait()

    async def handle(self, request: Request) -> Response:
        try:
            return await self._answer(request)
        finally:
            self.arrived.set()

    async def _answer(self, request: Request) -> Response:
        path = request.url.path.removeprefix("/v2").strip("/").split("/")
        match request.method, path:
            case "POST", ["sandboxes"]:
                return await self._create(request, orjson.loads(await request.body()))
            case "GET", ["sandboxes"]:
                wanted = dict(parse_qsl(request.query_params.get("metadata", "")))
                return JSONResponse(
                    [had for had in self.sandboxes.values() if wanted.items() <= had["metadata"].items()]
                )
            case "GET", ["sandboxes", name] if name in self.sandboxes:
                return JSONResponse(self.sandboxes[name])
            case "DELETE", ["sandboxes", name] if name in self.sandboxes:
                del self.sandboxes[name]
                return Response(status_code=204)
            case "POST", ["sandboxes", name, "connect"] if name in self.sandboxes:
                return JSONResponse({**created(), "sandboxID": name})
        return JSONResponse({"code": 404, "message": "not found"}, 404)

    async def _create(self, request: Request, body: dict[str, Any]) -> Response:
        metadata = body["metadata"]
        creation = Creation(time.monotonic(), metadata[PROJECT_MARK], metadata[SANDBOX_MARK], accepted=False)
        self.creations.append(creation)
        self.arrived.set()
        if self._is_too_much(creation.at):
            headers = {"retry-after": self.retry_after} if self.retry_after else {}
            return JSONResponse({"code": 429, "message": "too many sandboxes"}, 429, headers)
        mishap = self.mishaps.popleft() if self.mishaps else "none"
        match mishap:
            case "busy":
                return JSONResponse({"code": 503, "message": "busy"}, 503, {"retry-after": "1"})
            case "fail":
                return JSONResponse({"code": 500, "message": "it broke"}, 500)
            case "refuse":
                return JSONResponse({"code": 400, "message": "no such thing"}, 400)
            case "vanish":
                return await never(request)
        creation.accepted = True
        made = self._make(metadata)
        if mishap == "hold":
            return await never(request)
        if mishap == "lose":
            return JSONResponse({"code": 504, "message": "gateway timeout"}, 504)
        return JSONResponse(made, 201)

    def _is_too_much(self, at: float) -> bool:
        if self.most_a_second is None:
            return False
        recent = [creation for creation in self.accepted if creation.at > at - WINDOW_SECONDS]
        return len(recent) >= self.most_a_second

    def _make(self, metadata: dict[str, str]) -> dict[str, Any]:
        name = f"icloud{len(self.sandboxes)}x{len(self.creations)}"
        self.sandboxes[name] = {**detail(), "sandboxID": name, "metadata": metadata}
        return {**created(), "sandboxID": name}
