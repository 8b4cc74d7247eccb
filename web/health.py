"""Is the process alive, and can it serve: `/healthz` and `/readyz`."""

import asyncio
from collections.abc import Awaitable, Callable

import orjson
import structlog
from starlette.responses import Response

CHECK_SECONDS = 3.0

_log = structlog.get_logger(__name__)

Check = Callable[[], Awaitable[None]]
"""Raises where something that the process needs does not answer."""


def answer_alive() -> Response:
    """Say that the process runs; this asks nothing of anybody else."""
    return _answer(200, {"status": "alive"})


async def answer_ready(checks: dict[str, Check]) -> Response:
    """Say 200 where every check passes, else 503; names what fails, and leaves why to the log."""
    passed = await asyncio.gather(*(_passes(name, check) for name, check in checks.items()))
    states = {name: "ok" if ok else "failing" for name, ok in zip(checks, passed, strict=True)}
    if all(passed):
        return _answer(200, {"status": "ready", "checks": states})
    return _answer(503, {"status": "not ready", "checks": states})


async def _passes(name: str, check: Check) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except Exception:
        _log.warning("health.check_failed", check=name, exc_info=True)
        return False
    return True


def _answer(status: int, body: dict[str, object]) -> Response:
    return Response(
        orjson.dumps(body),
        status_code=status,
        headers={"Content-Type": "application/json", "Cache-Control": "no-store"},
    )
