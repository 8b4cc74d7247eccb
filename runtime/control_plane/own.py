"""Endpoints of our own, beside E2B's protocol: what holds on this machine, and why a sandbox ended."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.control_plane.errors import refusal
from runtime.control_plane.reached import limits_reached
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
        reason = host.endings.get(sandbox_id)
        if reason is not None:
            return JSONResponse({"sandboxID": sandbox_id, "state": "ended", "endReason": reason})
        record = host.records.get(sandbox_id)
        if record is None:
            return refusal(404, f'sandbox "{sandbox_id}" not found')
        sandbox = host.live(sandbox_id)
        ended = sandbox.ended_processes if sandbox is not None else []
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
                    {"pid": process.pid, "endReason": process.end_reason} for process in ended
                ],
            }
        )

    return [
        Route("/runtime/capabilities", show_capabilities),
        Route("/runtime/warm", show_warm),
        Route("/runtime/sandboxes/{id}", show_sandbox),
    ]
