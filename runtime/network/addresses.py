"""Which addresses no sandbox reaches, whatever its rules say: only the public internet is outside.

Checked on the resolved address that is then connected to, so no name, notation or change of DNS matters.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from runtime.host.errors import MachineUnfitError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

ALLOWANCES_LIMIT = 32
ALLOWANCE = re.compile(
    r"(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[0-9.]+))(?:/(?P<bits>\d{1,3}))?(?::(?P<port>\d{1,5}))?"
)
# Private, shared (CGNAT), loopback, link-local with the metadata services, special, multicast, reserved.
CLOSED_V4 = [
    IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
]  # fmt: skip
# All that is global unicast lies here; IPv4 in other clothes (mapped, NAT64, 6to4, Teredo) must not pass.
GLOBAL_V6 = IPv6Network("2000::/3")
CLOSED_V6 = [IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]


@dataclass(frozen=True)
class Allowance:
    """Addresses behind the wall that sandboxes may reach all the same; `port` None is every port."""

    network: Network
    port: int | None

    def covers(self, address: Address, port: int) -> bool:
        """Whether it names this very destination."""
        return self.port in (None, port) and address in self.network


class Wall:
    """Tells the public internet from all that lies on this side of it."""

    def __init__(self, allowances: Iterable[Allowance] = ()) -> None:
        self._allowances = tuple(allowances)

    def passes(self, address: Address, port: int) -> bool:
        """Whether a sandbox whose rules allow it may connect there."""
        if any(allowance.covers(address, port) for allowance in self._allowances):
            return True
        return is_public(address) and not is_own(address)


def is_public(address: Address) -> bool:
    """Whether it is an address of the public internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in CLOSED_V4)
    return address in GLOBAL_V6 and not any(address in network for network in CLOSED_V6)


def is_own(address: Address) -> bool:
    """Whether it is this machine's: only then can a socket be bound to it. Public ones count too."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def parse_address(text: str) -> Address | None:
    """The address that a text is, or None."""
    with suppress(ValueError):
        return ipaddress.ip_address(text)
    return None


def parse_network(text: str) -> Network | None:
    """The network or single address that a text is, or None; bits behind the prefix don't matter."""
    with suppress(ValueError):
        return ipaddress.ip_network(text, strict=False)
    return None


def parse_allowances(text: str) -> tuple[Allowance, ...]:
    """`10.1.2.0/24:443,[fd00::]/8`: networks, with a port or without; `MachineUnfitError` names a bad one."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) > ALLOWANCES_LIMIT:
        raise MachineUnfitError(f"RUNTIME_NETWORK_PRIVATE_ALLOWED: at most {ALLOWANCES_LIMIT} entries")
    return tuple(_parse_allowance(part) for part in parts)


def _parse_allowance(text: str) -> Allowance:
    match = ALLOWANCE.fullmatch(text)
    network = None
    if match is not None:
        address = match["v6"] or match["v4"]
        network = parse_network(address + (f"/{match['bits']}" if match["bits"] else ""))
    if match is None or network is None or (match["port"] and not 0 < int(match["port"]) < 65536):
        raise MachineUnfitError(
            f"RUNTIME_NETWORK_PRIVATE_ALLOWED: {text!r} is not of the form `10.1.2.0/24`, `10.1.2.3:443` or "
            "`[fd00::]/8:443`"
        )
    return Allowance(network, int(match["port"]) if match["port"] else None)
