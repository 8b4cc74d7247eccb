"""What network a sandbox may ask for: none but its own loopback, and that is said, not hidden."""

from typing import Any

from runtime.host.errors import InvalidSandboxRequestError

NOT_OFFERED = (
    "This runtime's sandboxes have no network but their own loopback. Leave {field} out{hint}, "
    "or use a provider that offers internet access."
)
EVERYTHING = {"0.0.0.0/0", "::/0", "0.0.0.0/0,::/0"}


def check_network(allow_internet_access: bool | None, network: dict[str, Any] | None) -> None:
    """Refuse what can't be given; a network that is denied altogether is what there is."""
    if allow_internet_access:
        raise InvalidSandboxRequestError(
            NOT_OFFERED.format(field="allow_internet_access", hint=" or set it to false")
        )
    for field in ("allowOut", "rules", "egressProxy", "dnsServers"):
        if network and network.get(field):
            raise InvalidSandboxRequestError(NOT_OFFERED.format(field=f"network.{field}", hint=""))
