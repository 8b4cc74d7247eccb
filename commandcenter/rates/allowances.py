"""Which buckets a caller draws on."""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from commandcenter.access.scope import Scope
from commandcenter.rates.buckets import Bucket, Charge, Verdict
from commandcenter.rates.counters import Counters
from commandcenter.settings import Settings

# A bucket of points must hold what the most expensive operation may cost.
MOST_OPERATION_POINTS = 20_000
_MINUTE = 60.0
# As many requests may come at once as are allowed in this time.
_BURST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What callers may ask for, by the settings and by their project's limits."""

    settings: Settings
    counters: Counters

    def take_request(self, scope: Scope, points: int) -> Verdict:
        """Take a request that costs so many points from what its key and its project have left."""
        return self.counters.take(self._charges(scope, points))

    def known_refusal(self, scope: Scope) -> Verdict | None:
        """The verdict, if nothing is left for another request."""
        return self.counters.refusal(self._charges(scope, 0))

    def take_sign_in(self, address: str | None) -> Verdict:
        """Take an attempt to sign in from what an address has left."""
        most = self.settings.sign_ins_per_minute
        return self.counters.take([Charge(Bucket("sign-ins", _network(address), most, _MINUTE))])

    def _charges(self, scope: Scope, points: int) -> list[Charge]:
        charges: list[Charge] = []
        if scope.key_id is not None:
            settings = self.settings
            charges += _charges(
                "key", scope.key_id, settings.key_requests_per_minute, settings.key_points_per_minute, points
            )
        if scope.requests_per_minute is not None and scope.points_per_minute is not None:
            charges += _charges(
                "project", scope.project_id, scope.requests_per_minute, scope.points_per_minute, points
            )
        return charges


def _charges(whose: str, owner: UUID, requests: int, most_points: int, points: int) -> tuple[Charge, Charge]:
    of_requests, of_points = _buckets(whose, owner, requests, most_points)
    return Charge(of_requests), Charge(of_points, points)


@lru_cache(maxsize=4_096)
def _buckets(whose: str, owner: UUID, requests: int, points: int) -> tuple[Bucket, Bucket]:
    """The buckets of an owner who may make so many requests, and spend so many points, in a minute."""
    limit = max(1, round(requests * _BURST_SECONDS / _MINUTE))
    return (
        Bucket(f"{whose}-requests", str(owner), limit, limit * _MINUTE / requests),
        Bucket(f"{whose}-points", str(owner), points, _MINUTE),
    )


def _network(address: str | None) -> str:
    """The address; of IPv6 the /64, as one machine has all of it."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if parsed.version == 6 and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
