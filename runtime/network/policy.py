"""What one sandbox's rules allow: pure, so that it can be asked again for connections that are open."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from runtime.network.addresses import Address, Network


@dataclass(frozen=True)
class Policy:
    """Entries that are allowed go before those that are denied, as on E2B.

    Names are in lower case, without a last dot; `*.example.com` stands for every name below it, not itself.
    """

    open_by_default: bool = True
    """What becomes of a destination that no entry names."""
    allowed_names: tuple[str, ...] = ()
    allowed_networks: tuple[Network, ...] = ()
    denied_networks: tuple[Network, ...] = ()
    headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By name, headers that requests to it get in place of their own."""

    @property
    def denies_everything(self) -> bool:
        """Whether only what is allowed by name or address passes; IPv6 counts as denied with all of IPv4."""
        return not self.open_by_default or any(
            network.version == 4 and network.prefixlen == 0 for network in self.denied_networks
        )

    @property
    def allows_nothing(self) -> bool:
        """Whether there is nothing that it would let through."""
        return self.denies_everything and not self.allowed_names and not self.allowed_networks

    def allows_name(self, name: str) -> bool:
        """Whether a name is allowed as such, wherever it may lie."""
        return any(_matches(name, pattern) for pattern in self.allowed_names)

    def may_ask_for(self, name: str) -> bool:
        """Whether DNS may be asked: what is refused anyway must not leave as a question either."""
        return self.allows_name(name) or not self.denies_everything

    def permits(self, name: str | None, address: Address) -> bool:
        """Whether a connection to this address is allowed; `name` is what it was found by, if by a name."""
        if name is not None and self.allows_name(name):
            return True
        if any(address in network for network in self.allowed_networks):
            return True
        return not self.denies_everything and not any(address in network for network in self.denied_networks)

    def headers_for(self, name: str) -> Mapping[str, str]:
        """The headers for requests to a name: its own rule's, else the longest pattern's that matches."""
        if name in self.headers:
            return self.headers[name]
        matching = [pattern for pattern in self.headers if _matches(name, pattern)]
        return self.headers[max(matching, key=len)] if matching else {}


def _matches(name: str, pattern: str) -> bool:
    if pattern == "*":
        return True
    return name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern
