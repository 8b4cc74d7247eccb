"""`GET /runtime/disk`: what lies on the disk for all teams together, each file counted once."""

import asyncio
import shutil
import time
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.host.layout import Layout
from runtime.layers.disk import disk_use

FRESH_SECONDS = 5


class DiskEndpoint:
    """Adds up at most every few seconds, and once at a time, however many ask."""

    def __init__(self, layout: Layout) -> None:
        self._places = {"layers": layout.layers, "volumes": layout.volumes, "sandboxes": layout.sandboxes}
        self._adding = asyncio.Lock()
        self._answer: dict[str, Any] = {}
        self._answered_at = float("-inf")

    def routes(self) -> list[Route]:
        """The path."""
        return [Route("/runtime/disk", self.show, methods=["GET"])]

    async def show(self, _: Request) -> Response:
        """Bytes and counts by kind, and what is free."""
        async with self._adding:
            if time.monotonic() - self._answered_at > FRESH_SECONDS:
                self._answer = await asyncio.to_thread(self._measure)
                self._answered_at = time.monotonic()
        return JSONResponse(self._answer)

    def _measure(self) -> dict[str, Any]:
        used = disk_use({kind: [place] for kind, place in self._places.items()})
        answer: dict[str, Any] = {
            kind: {"count": _count(place), "bytes": used[kind]} for kind, place in self._places.items()
        }
        return answer | {"freeBytes": shutil.disk_usage(self._places["sandboxes"]).free}


def _count(place: Path) -> int:
    # What is about to be removed still takes room, but is nothing any more.
    return sum(1 for each in place.iterdir() if not each.name.startswith(("new-", "old-")))
