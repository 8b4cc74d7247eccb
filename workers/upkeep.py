"""The schedules that keep sandboxes up.

Rounds of several workers take turns: arq starts each at most once. Within one worker a round leaves out
what an earlier one still does; so a provider that hangs holds up itself alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import structlog

from commandcenter.sandboxes.doubts import Doubts
from commandcenter.sandboxes.reconcile import reconcile
from commandcenter.sandboxes.upkeep import keep_up, providers_in_use
from commandcenter.secrets.upkeep import forget_replaced_values
from commandcenter.services import Services
from workers.turns import Turns

SECONDS_BETWEEN_ROUNDS = 2
SECONDS_BETWEEN_RECONCILIATIONS = 10
ROUND_SECONDS = 60
"""Longest that a round may take; what it did not come to is read again by the next one."""

_log = structlog.get_logger()


async def keep_sandboxes_up(context: dict[str, Any]) -> None:
    """End or pause what is due: expiry, idleness, ends that a provider has not confirmed."""
    services: Services = context["services"]
    names = await providers_in_use(services)
    await _side_by_side(context, "upkeep", {name: partial(keep_up, services, name) for name in names})


async def reconcile_providers(context: dict[str, Any]) -> None:
    """Settle what providers have against what our records say."""
    services: Services = context["services"]
    doubts: Doubts = context["doubts"]
    rounds = {
        provider.name: partial(reconcile, services, provider, doubts) for provider in services.providers
    }
    await _side_by_side(context, "reconcile", rounds)


async def forget_secrets(context: dict[str, Any]) -> None:
    """Remove values of secrets that were replaced and that no sandbox has any more."""
    services: Services = context["services"]
    turns: Turns = context["turns"]
    await turns.take("forget-secrets", partial(forget_replaced_values, services.database))


async def _side_by_side(
    context: dict[str, Any], kind: str, rounds: Mapping[str, Callable[[], Awaitable[None]]]
) -> None:
    turns: Turns = context["turns"]
    outcomes = await asyncio.gather(
        *(turns.take(f"{kind} {name}", work) for name, work in rounds.items()), return_exceptions=True
    )
    for name, outcome in zip(rounds, outcomes, strict=True):
        if isinstance(outcome, Exception):
            _log.error(f"{kind}.failed", provider=name, exc_info=outcome)
