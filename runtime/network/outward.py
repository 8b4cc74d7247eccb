"""A connection to the outside: the name resolved, each address checked, and that very one connected to."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address

from runtime.network.addresses import Address, Wall, parse_address
from runtime.network.fields import normal_name
from runtime.network.policy import Policy
from runtime.network.resolver import Resolver, UnknownNameError

CONNECT_SECONDS = 10
ALL_ADDRESSES_SECONDS = 30


class RefusedError(Exception):
    """The sandbox may not go there; the message says what would change that."""


class UnreachableError(Exception):
    """It may go there, but there is nothing to connect to."""


@dataclass(frozen=True)
class Destination:
    """Where a sandbox wants to go: a host as it was written, in lower case, and a port."""

    host: str
    port: int

    @property
    def literal(self) -> Address | None:
        """The address that the host is, where it is one and no name."""
        return parse_address(self.host)


@dataclass(frozen=True)
class Outward:
    """An open connection to the outside."""

    name: str | None
    address: Address
    connection: socket.socket


def destination(host: str, port: str | int) -> Destination | None:
    """Read a host and a port; None where they are none."""
    host = host.removeprefix("[").removesuffix("]").lower()
    text = str(port)
    if not text.isascii() or not text.isdigit() or len(text) > 5 or not 0 < int(text) < 65536:
        return None
    if parse_address(host) is not None:
        return Destination(host, int(text))
    name = normal_name(host)
    return None if name is None else Destination(name, int(text))


async def connect(
    wanted: Destination, policy: Callable[[], Policy], wall: Wall, resolver: Resolver
) -> Outward:
    """Connect; `RefusedError` where it may not, `UnreachableError` where it can't.

    `policy` is asked once more when the connection stands: it may have changed meanwhile.
    """
    literal = wanted.literal
    if literal is not None:
        return await connect_checked(None, [literal], wanted.port, policy, wall)
    if not policy().may_ask_for(wanted.host):
        raise RefusedError(_not_permitted(wanted.host, None, policy()))
    try:
        addresses = await resolver.addresses(wanted.host)
    except UnknownNameError as error:
        raise UnreachableError(str(error)) from error
    return await connect_checked(wanted.host, addresses, wanted.port, policy, wall)


async def connect_checked(
    name: str | None, addresses: list[Address], port: int, policy: Callable[[], Policy], wall: Wall
) -> Outward:
    """Connect to the first of these addresses that may be and can be connected to; raises as `connect`."""
    host = name or str(addresses[0])
    allowed = [address for address in addresses if policy().permits(name, address)]
    if not allowed:
        raise RefusedError(_not_permitted(host, addresses[0], policy()))
    passing = [address for address in allowed if wall.passes(address, port)]
    if not passing:
        found = "" if name is None else f" is {allowed[0]}, which"
        raise RefusedError(
            f"{host}{found} is not on the public internet: private, local and metadata addresses, and this "
            "machine's own, are closed to sandboxes"
        )
    outward = await _connect_to_one(name, passing, port)
    if not policy().permits(name, outward.address):
        outward.connection.close()
        raise RefusedError(_not_permitted(host, outward.address, policy()))
    return outward


def _not_permitted(host: str, address: Address | None, policy: Policy) -> str:
    if policy.allows_nothing:
        return (
            "this sandbox has no network: create it with allow_internet_access=True, or allow single hosts "
            "with update_network"
        )
    if policy.denies_everything:
        return f"{host} is not in this sandbox's network.allowOut: add it with update_network"
    return f"{host} ({address}) is in this sandbox's network.denyOut: change it with update_network"


async def _connect_to_one(name: str | None, addresses: list[Address], port: int) -> Outward:
    problems = []
    with suppress(TimeoutError):
        async with asyncio.timeout(ALL_ADDRESSES_SECONDS):
            for address in addresses:
                try:
                    return Outward(name, address, await _connect(address, port))
                except OSError as error:
                    problems.append(f"{address}: {error.strerror or 'no answer in time'}")
    tried = "; ".join(problems) or "no answer in time"
    raise UnreachableError(f"port {port} can't be connected to ({tried})")


async def _connect(address: Address, port: int) -> socket.socket:
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(connection, (str(address), port))
    except BaseException:
        connection.close()
        raise
    return connection
