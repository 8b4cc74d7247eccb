"""Endpoints of our own, beside E2B's protocol: what holds on this machine, and why a sandbox ended."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.control_plane.answers import moment
from runtime.control_plane.reached import limits_reached
from runtime.control_plane.teams import team_of
from runtime.host.endings import Ended
from runtime.host.limits.asked import shown_limits
from runtime.host.sandbox_host import SandboxHost


def own_routes(host: SandboxHost, capabilities: dict[str, Any]) -> list[Route]:
    """`/runtime/capabilities`, `/runtime/warm` and `/runtime/sandboxes/{id}`."""

    async def show_capabilities(_: Request) -> Response:
        return JSONResponse(capabilities)

    async def show_warm(_: Request) -> Response:
        return JSONResponse(host.warm.counters())

    async def show_sandbox(request: Request) -> Response:
        sandbox_id = request.path_params["id"]
        ended = host.endings.find(sandbox_id, team_of(request))
        if ended is not None:
            return JSONResponse(_ended(ended))
        record = host.find(sandbox_id, team_of(request))
        sandbox = host.live(sandbox_id)
        processes = [] if sandbox is None else list(sandbox.ended_processes)
        return JSONResponse(
            {
                "sandboxID": sandbox_id,
                "state": record.state,
                "endReason": None,
                "limits": shown_limits(record.limits),
                "limitsReached": [] if sandbox is None else limits_reached(sandbox),
                "outOfMemoryKills": 0 if sandbox is None else sandbox.group.out_of_memory_kills(),
                "network": None if sandbox is None or sandbox.egress is None else sandbox.egress.figures(),
                "endedProcesses": [
                    {"pid": process.pid, "endReason": process.end_reason} for process in processes
                ],
            }
        )

    return [
        Route("/runtime/capabilities", show_capabilities),
        Route("/runtime/warm", show_warm),
        Route("/runtime/sandboxes/{id}", show_sandbox),
    ]


def _ended(ended: Ended) -> dict[str, Any]:
    return {
        "sandboxID": ended.id,
        "templateID": ended.template,
        "state": "ended",
        "endReason": ended.reason,
        "startedAt": moment(ended.started_at),
        "endedAt": moment(ended.ended_at),
    }
