"""What the providers have, asked beside the product, and waiting for what it comes to."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from commandcenter.sandboxes.marks import PROJECT_MARK
from tests.faults.stack import CLOUD_KEY, ProviderName, Stack
from tests.fixtures.product import Project
from tests.fixtures.runtime import RuntimeProcess

KEYS: dict[ProviderName, str] = {"local": RuntimeProcess.api_key, "e2b": CLOUD_KEY}
_LOOK_AGAIN_SECONDS = 0.1


async def at_provider(stack: Stack, project: Project, provider: ProviderName) -> list[dict[str, Any]]:
    """The project's sandboxes that a provider has."""
    answer = await stack.product.http.get(
        f"{stack.runtime.url}/v2/sandboxes",
        params={"metadata": f"{PROJECT_MARK}={project.id}", "limit": 100},
        headers={"X-API-Key": KEYS[provider]},
    )
    found: list[dict[str, Any]] = answer.raise_for_status().json()
    return found


async def until(
    holds: Callable[[], Awaitable[bool]], what: str | Callable[[], object], *, seconds: float
) -> None:
    """Wait until something holds; fails with `what` was waited for when the time is over."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not await holds():
        assert loop.time() < deadline, f"not within {seconds:g} s: {what() if callable(what) else what}"
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
