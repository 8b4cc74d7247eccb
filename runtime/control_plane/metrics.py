"""What sandboxes use, as E2B's control plane tells it: one sandbox's samples, or the latest of several."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.control_plane.answers import measured
from runtime.control_plane.paths import sandbox_id
from runtime.control_plane.teams import team_of
from runtime.host.errors import InvalidSandboxRequestError, SandboxNotFoundError
from runtime.host.metrics import Metrics
from runtime.host.sandbox_host import SandboxHost

SANDBOXES_AT_ONCE = 100


class MetricEndpoints:
    """The endpoints."""

    def __init__(self, host: SandboxHost, metrics: Metrics) -> None:
        self._host = host
        self._metrics = metrics

    def routes(self) -> list[Route]:
        """Their paths; the one for several comes before those of a sandbox's id."""
        return [
            Route("/sandboxes/metrics", self.of_several, methods=["GET"]),
            Route("/sandboxes/{id}/metrics", self.of_one, methods=["GET"]),
        ]

    async def of_one(self, request: Request) -> Response:
        """What it used, between two times in Unix seconds."""
        record = self._host.find(sandbox_id(request), team_of(request))
        start, end = (_seconds(request, name) for name in ("start", "end"))
        samples = await self._metrics.samples(record.id, start, end)
        return JSONResponse([measured(record, sample) for sample in samples])

    async def of_several(self, request: Request) -> Response:
        """What each of them used last; those that aren't there are left out."""
        wanted = [each for part in request.query_params.getlist("sandbox_ids") for each in part.split(",")]
        if not 1 <= len(wanted) <= SANDBOXES_AT_ONCE:
            raise InvalidSandboxRequestError(f"sandbox_ids: expected 1 to {SANDBOXES_AT_ONCE} ids")
        latest: dict[str, Any] = {}
        for each in wanted:
            try:
                record = self._host.find(each, team_of(request))
            except SandboxNotFoundError:
                continue
            samples = await self._metrics.samples(record.id, None, None)
            if samples:
                latest[record.id] = measured(record, samples[-1])
        return JSONResponse({"sandboxes": latest})


def _seconds(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isdigit() or len(text) > 12:
        raise InvalidSandboxRequestError(f"{name}: expected a time in Unix seconds")
    return int(text)
