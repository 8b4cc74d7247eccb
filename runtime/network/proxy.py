"""The proxy's protocols: HTTP with CONNECT and absolute addresses, and SOCKS5, on one port."""

import asyncio

from runtime.network.egress import SandboxEgress
from runtime.network.flow import Flow
from runtime.network.http_proxy import serve_http
from runtime.network.outward import RefusedError, UnreachableError
from runtime.network.relay import relay
from runtime.network.socks import (
    GENERAL_FAILURE,
    GRANTED,
    HOST_UNREACHABLE,
    NOT_ALLOWED,
    VERSION,
    SocksError,
    read_request,
    reply,
)

FIRST_BYTE_SECONDS = 60
HANDSHAKE_SECONDS = 30


async def serve(egress: SandboxEgress, flow: Flow) -> None:
    """Serve one connection from inside; its first byte tells what it speaks."""
    try:
        async with asyncio.timeout(FIRST_BYTE_SECONDS):
            first = await flow.inner.reader.readexactly(1)
    except TimeoutError:
        return
    if first[0] == VERSION:
        await _serve_socks(egress, flow)
    else:
        await serve_http(egress, flow, first)


async def _serve_socks(egress: SandboxEgress, flow: Flow) -> None:
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            wanted = await read_request(flow.inner.reader, flow.inner.writer)
        outer = await egress.open_outward(flow, wanted)
    except (SocksError, RefusedError, UnreachableError, TimeoutError) as error:
        flow.inner.writer.write(reply(_code(error)))
        await flow.inner.writer.drain()
        return
    flow.inner.writer.write(reply(GRANTED))
    await relay(flow.inner, outer, flow.moved)


def _code(error: Exception) -> int:
    if isinstance(error, SocksError):
        return error.reply
    if isinstance(error, RefusedError):
        return NOT_ALLOWED
    return HOST_UNREACHABLE if isinstance(error, UnreachableError) else GENERAL_FAILURE
