"""Connections of programs that ask no proxy: the kernel turns them to us inside the sandbox.

They come with an address alone. The names that the sandbox asked us for tell what it is called, so that an
allow-list of names holds for them as it does for the proxy.
"""

from contextlib import suppress

from runtime.network.egress import SandboxEgress
from runtime.network.flow import Flow
from runtime.network.outward import RefusedError, UnreachableError
from runtime.network.relay import relay


async def serve_redirected(egress: SandboxEgress, flow: Flow) -> None:
    """Connect it to where it wanted, or close it: there is no way to say why but in the sandbox's figures."""
    if flow.wanted is None:
        return
    with suppress(RefusedError, UnreachableError):
        outer = await egress.open_redirected(flow, *flow.wanted)
        await relay(flow.inner, outer, flow.moved)
