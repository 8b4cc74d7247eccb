"""What the provider fields do."""

import asyncio
from dataclasses import dataclass
from typing import Any

from resolvers.context import Info

_ISOLATION = {
    "local": "Namespaces, seccomp and limits on this machine's kernel, which it shares: not for code of "
    "strangers on a machine that others use.",
    "e2b": "A virtual machine for each sandbox.",
}


@dataclass(frozen=True, slots=True)
class ProviderView:
    """What `Provider` shows."""

    name: str
    kind: str
    configured: bool
    healthy: bool
    detail: str
    isolation: str
    capabilities: dict[str, Any] | None


async def providers(info: Info) -> list[ProviderView]:
    """`Query.providers`."""
    return list(await asyncio.gather(*(_provider(info, name) for name in _ISOLATION)))


async def _provider(info: Info, name: str) -> ProviderView:
    configured = {provider.name: provider for provider in info.context.services.providers}
    provider = configured.get(name)
    if provider is None:
        healthy, detail, capabilities = False, "Not configured: this installation has no key for it.", None
    else:
        (healthy, detail), capabilities = await asyncio.gather(provider.healthy(), provider.capabilities())
    return ProviderView(
        name=name,
        kind=name,
        configured=provider is not None,
        healthy=healthy,
        detail=detail,
        isolation=_ISOLATION[name],
        capabilities=capabilities,
    )
