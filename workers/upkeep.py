"""The schedules that keep sandboxes and executions up, and the worker's sign of life.

Rounds of several workers take turns: arq starts each at most once. A round that finds the one before still
at work changes nothing that it does: every step is a compare-and-set.
"""

from typing import Any

from commandcenter.executions.abandoned import settle_abandoned
from commandcenter.sandboxes.reconcile import reconcile
from commandcenter.sandboxes.upkeep import keep_up
from commandcenter.services import Services

SECONDS_BETWEEN_ROUNDS = 2
SECONDS_BETWEEN_RECONCILIATIONS = 10
ROUND_SECONDS = 60
"""Longest that a round may take; a provider that does not answer must not hold the next ones up."""


async def keep_sandboxes_up(context: dict[Any, Any]) -> None:
    """End what is due: expiry, idleness, ends that a provider has not confirmed, executions of the dead."""
    services: Services = context["services"]
    await keep_up(services)
    await settle_abandoned(services)


async def reconcile_providers(context: dict[Any, Any]) -> None:
    """Settle what providers have against what our records say."""
    await reconcile(context["services"])
