"""envd's `/health`, `/envs` and `/metrics`: is the sandbox there, and how does it fare."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from runtime.control_plane.answers import processors
from runtime.data_plane.routing import sandbox_of
from runtime.host.metrics import Metrics


def health_service(metrics: Metrics) -> Router:
    """The three as one service."""

    async def measure(request: Request) -> Response:
        record = sandbox_of(request.scope).record
        samples = await metrics.samples(record.id, None, None)
        if not samples:
            return Response(status_code=503)
        last = samples[-1]
        return JSONResponse(
            {
                "ts": int(last.at),
                "cpu_count": processors(record),
                "cpu_used_pct": last.processor_percent,
                "mem_total": record.limits.memory,
                "mem_used": last.memory,
                "mem_cache": last.cache,
                "disk_used": last.disk,
                "disk_total": last.disk_total,
            }
        )

    return Router([Route("/health", _health), Route("/envs", _environment), Route("/metrics", measure)])


async def _health(_: Request) -> Response:
    return Response(status_code=204)


async def _environment(request: Request) -> Response:
    sandbox = sandbox_of(request.scope)
    return JSONResponse(sandbox.environment({}, await sandbox.account("")))
