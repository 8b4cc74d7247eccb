"""SOCKS5 (RFC 1928) without authentication, for programs whose protocol is not HTTP: ssh, databases, mail."""

import asyncio
import ipaddress

from runtime.network.outward import Destination, destination

VERSION = 5
NO_AUTHENTICATION = 0
NO_ACCEPTABLE_METHOD = 0xFF
CONNECT = 1
ADDRESS_V4, NAME, ADDRESS_V6 = 1, 3, 4
GRANTED, GENERAL_FAILURE, NOT_ALLOWED, HOST_UNREACHABLE, COMMAND_NOT_SUPPORTED, ADDRESS_NOT_SUPPORTED = (
    0, 1, 2, 4, 7, 8,
)  # fmt: skip


class SocksError(Exception):
    """What the client asked can't be done; `reply` is SOCKS5's code for it."""

    def __init__(self, reply: int) -> None:
        super().__init__(f"SOCKS5 reply {reply}")
        self.reply = reply


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Destination:
    """Where a client wants to go; its first byte, the version, has been read."""
    methods = await reader.readexactly((await reader.readexactly(1))[0])
    if NO_AUTHENTICATION not in methods:
        writer.write(bytes([VERSION, NO_ACCEPTABLE_METHOD]))
        raise SocksError(GENERAL_FAILURE)
    writer.write(bytes([VERSION, NO_AUTHENTICATION]))
    _, command, _, kind = await reader.readexactly(4)
    if kind == NAME:
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode("latin-1")
    elif kind in (ADDRESS_V4, ADDRESS_V6):
        host = str(ipaddress.ip_address(await reader.readexactly(4 if kind == ADDRESS_V4 else 16)))
    else:
        raise SocksError(ADDRESS_NOT_SUPPORTED)
    wanted = destination(host, int.from_bytes(await reader.readexactly(2), "big"))
    if command != CONNECT:
        raise SocksError(COMMAND_NOT_SUPPORTED)
    if wanted is None:
        raise SocksError(HOST_UNREACHABLE)
    return wanted


def reply(code: int) -> bytes:
    """The answer to a request; the address that it bears is of no use to anyone."""
    return bytes([VERSION, code, 0, ADDRESS_V4, 0, 0, 0, 0, 0, 0])
