"""The schedule that ends what is due: expiry, idleness, ends that a provider has not confirmed."""

from typing import Any

from commandcenter.sandboxes.upkeep import keep_up

SECONDS_BETWEEN_ROUNDS = 2
ROUND_SECONDS = 60
"""Longest that a round may take; a provider that does not answer must not hold the next ones up."""


async def keep_sandboxes_up(context: dict[Any, Any]) -> None:
    """One round. Rounds of several workers take turns: arq starts each at most once."""
    await keep_up(context["services"])
