"""What a request becomes on its way to a server inside: its host, its headers, its connection."""

import asyncio
import ssl
from collections.abc import Iterable

from runtime.host.sandbox import Sandbox
from runtime.network.headers import Headers
from runtime.network.relay import Streams

TRAFFIC_TOKEN = b"e2b-traffic-access-token"
HANDSHAKE_SECONDS = 10


async def dial_streams(sandbox: Sandbox, port: int) -> Streams:
    """A connection to a server inside, by TLS where `httpsPorts` names its port.

    Raises `ConnectionRefusedError` where none listens, or none that speaks TLS.
    """
    connection = await sandbox.dial(port)
    if port not in ((sandbox.record.network or {}).get("httpsPorts") or ()):
        return Streams(*await asyncio.open_connection(sock=connection))
    try:
        return Streams(
            *await asyncio.open_connection(
                sock=connection,
                ssl=_unverified(),
                server_hostname="localhost",
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
            )
        )
    except (ssl.SSLError, TimeoutError, OSError) as error:
        connection.close()
        raise ConnectionRefusedError(f"port {port} speaks no TLS") from error


def inside_headers(sandbox: Sandbox, port: int, headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """A request's headers for the server inside: the token stays outside, the host is masked where asked."""
    kept = [(name, value) for name, value in headers if name != TRAFFIC_TOKEN]
    mask = (sandbox.record.network or {}).get("maskRequestHost")
    if not mask:
        return kept
    host = str(mask).replace("${PORT}", str(port)).encode()
    return [(b"host", host), *((name, value) for name, value in kept if name != b"host")]


def _unverified() -> ssl.SSLContext:
    # As on E2B: the connection never leaves the sandbox, and its servers sign their own certificates.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
