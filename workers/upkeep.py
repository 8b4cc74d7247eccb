"""The schedules that keep sandboxes up.

Rounds of several workers take turns: arq starts each at most once. A round does not wait for the one
before: what is under way at a provider is left alone, so what hangs holds up itself alone. The sweep of a
provider is done by one worker at a time.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Any

import structlog
from redis.asyncio import Redis

from commandcenter.sandboxes.patience import Patience
from commandcenter.sandboxes.reconcile import reconcile
from commandcenter.sandboxes.upkeep import keep_up, providers_in_use
from commandcenter.secrets.upkeep import forget_replaced_values
from commandcenter.services import Services
from commandcenter.snapshots.settle import settle_snapshots
from workers.turns import take_alone

SECONDS_BETWEEN_ROUNDS = 2
SECONDS_BETWEEN_RECONCILIATIONS = 10
ROUND_SECONDS = 60
"""Longest that a round may take; what it did not come to is read again by the next one."""

_log = structlog.get_logger()


async def keep_sandboxes_up(context: dict[str, Any]) -> None:
    """End or pause what is due: expiry, idleness, ends that a provider has not confirmed."""
    services: Services = context["services"]
    names = await providers_in_use(services)
    await _side_by_side("upkeep", {name: keep_up(services, name) for name in names})


async def settle_all_snapshots(context: dict[str, Any]) -> None:
    """Find out what became of snapshots under way, and delete those that are to be deleted."""
    await settle_snapshots(context["services"])


async def reconcile_providers(context: dict[str, Any]) -> None:
    """Settle what providers have against what our records say."""
    services: Services = context["services"]
    redis: Redis = context["redis"]
    rounds = {
        provider.name: take_alone(
            redis, f"reconcile {provider.name}", partial(reconcile, services, provider, Patience())
        )
        for provider in services.providers
    }
    await _side_by_side("reconcile", rounds)


async def forget_secrets(context: dict[str, Any]) -> None:
    """Remove values of secrets that were replaced and that no sandbox has any more."""
    services: Services = context["services"]
    await take_alone(context["redis"], "forget secrets", partial(forget_replaced_values, services.database))


async def _side_by_side(kind: str, rounds: Mapping[str, Awaitable[None]]) -> None:
    outcomes = await asyncio.gather(*rounds.values(), return_exceptions=True)
    for name, outcome in zip(rounds, outcomes, strict=True):
        if isinstance(outcome, Exception):
            _log.error(f"{kind}.failed", provider=name, exc_info=outcome)
