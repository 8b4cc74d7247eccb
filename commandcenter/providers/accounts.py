"""Which providers this installation has, and how each is reached."""

import os
from dataclasses import dataclass, field
from typing import Literal

from commandcenter.providers.errors import ProviderNotConfiguredError
from commandcenter.providers.pacing import UNLIMITED, Pace
from commandcenter.settings import Settings

ProviderKind = Literal["local", "e2b"]


@dataclass(frozen=True)
class ProviderAccount:
    """One account at one provider.

    `local` is CommandCenter's own runtime; `e2b` is E2B's cloud or a service that speaks its protocol.
    `spool_bytes` of each stream of a command are kept in the sandbox where the provider keeps no output.
    Without `api_url` and `sandbox_url` both are derived from `domain`, as E2B's SDK does.
    """

    name: str
    kind: ProviderKind
    api_key: str = field(repr=False)
    api_url: str | None = None
    sandbox_url: str | None = None
    domain: str = "e2b.app"
    pace: Pace = UNLIMITED
    spool_bytes: int = 64 * 1024 * 1024


def accounts_from(settings: Settings) -> tuple[ProviderAccount, ...]:
    """The accounts that `settings` configure.

    Raises `ProviderNotConfiguredError` where the environment would make the SDK pretend.
    """
    if os.environ.get("E2B_DEBUG", "").lower() == "true":
        raise ProviderNotConfiguredError(
            "E2B_DEBUG=true makes E2B's SDK pretend to create and end sandboxes. Unset it and start again."
        )
    accounts = []
    if settings.runtime_url and settings.runtime_api_key:
        runtime_url = settings.runtime_url.rstrip("/")
        accounts.append(
            ProviderAccount(
                name="local",
                kind="local",
                api_key=settings.runtime_api_key.get_secret_value(),
                api_url=runtime_url,
                sandbox_url=runtime_url,
                domain="localhost",
                pace=_pace(settings, settings.local_creates_per_second, settings.local_sandboxes_at_once),
            )
        )
    if settings.e2b_api_key:
        accounts.append(
            ProviderAccount(
                name="e2b",
                kind="e2b",
                api_key=settings.e2b_api_key.get_secret_value(),
                api_url=settings.e2b_api_url,
                sandbox_url=settings.e2b_sandbox_url,
                domain=settings.e2b_domain,
                pace=_pace(settings, settings.e2b_creates_per_second, settings.e2b_sandboxes_at_once),
                spool_bytes=settings.e2b_spool_mb * 1024 * 1024,
            )
        )
    return tuple(accounts)


def _pace(settings: Settings, creates_per_second: float, sandboxes_at_once: int) -> Pace:
    return Pace(creates_per_second or None, sandboxes_at_once or None, settings.most_waiting_creations)
