"""What this machine offers its sandboxes of a network, as its settings say."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from runtime.host.errors import InvalidSandboxRequestError
from runtime.network.addresses import Wall, parse_allowances
from runtime.network.egress import QUESTIONS_PORT, REDIRECTED_PORT, Ways
from runtime.network.fields import read_policy
from runtime.network.policy import Policy
from runtime.network.proxy import serve
from runtime.network.redirected import serve_redirected


class NetworkOffer:
    """The default, and the ways out that all sandboxes share."""

    def __init__(
        self,
        default: Literal["off", "none", "proxy"],
        private_allowed: str,
        secret: Callable[[str, str], str],
    ) -> None:
        """With `secret`, the value of a team's secret by team and name; it raises LookupError."""
        self.ways = Ways(Wall(parse_allowances(private_allowed)), serve, serve_redirected, secret)
        self._default = default
        self.redirects = False
        """Whether this machine's sandboxes can turn connections to us; known once one has started."""

    @property
    def redirection(self) -> str:
        """The ports that a sandbox's connections and questions are turned to, as its supervisor reads them.

        The same for all, also for those that have no network now: one may be given to them at any time.
        """
        return "" if self._default == "off" else f"{REDIRECTED_PORT},{QUESTIONS_PORT}"

    def policy(self, allow_internet_access: bool | None, network: Mapping[str, Any] | None) -> Policy:
        """What a sandbox with these fields may reach; `InvalidSandboxRequestError` where they are wrong."""
        policy = read_policy(allow_internet_access, network, open_by_default=self._default == "proxy")
        if self._default == "off" and not policy.allows_nothing:
            field = "allow_internet_access" if allow_internet_access else "network.allowOut"
            raise InvalidSandboxRequestError(
                "This runtime's sandboxes have no network but their own loopback (RUNTIME_NETWORK=off). "
                f"Leave {field} out, or use a provider that offers internet access."
            )
        return policy

    def capabilities(self) -> list[str]:
        """The kinds of network that a sandbox can ask for."""
        if self._default == "off":
            return ["none"]
        return ["none", "allowlist", "full" if self.redirects else "proxy"]
