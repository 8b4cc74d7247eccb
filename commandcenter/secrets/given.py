"""The secrets that a sandbox was given: what its commands get, and what is masked in all that they say."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from commandcenter.errors import DomainError, InvalidError
from commandcenter.sandboxes.records import Sandbox
from commandcenter.secrets.errors import SecretsKeyError, SecretUnreadableError
from commandcenter.secrets.keyring import Keyring
from commandcenter.secrets.matching import SecretForms
from commandcenter.secrets.records import SandboxSecret, SecretVersion


@dataclass(frozen=True, slots=True)
class GivenSecrets:
    """What a sandbox was given until its `secret_count` was `count`: values by name, and all their forms."""

    count: int = 0
    of_every_command: Mapping[str, str] = field(default_factory=dict, repr=False)
    latest: Mapping[str, str] = field(default_factory=dict, repr=False)
    forms: SecretForms | None = field(default=None, repr=False)

    @property
    def context_bytes(self) -> int:
        """Who goes on with output that is stored needs so many bytes before it, to see a secret's rest."""
        return self.forms.longest - 1 if self.forms else 0

    def environment(self, own: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
        """A command's variables: the sandbox's secrets, its own variables, and the secrets that it names."""
        return {**self.of_every_command, **own, **{name: self.latest[name] for name in names}}

    def hide(self, text: str) -> str:
        """`text` with asterisks over secrets."""
        return self.forms.cover(text.encode()).decode(errors="replace") if self.forms else text

    def hide_in(self, error: DomainError) -> None:
        """Put asterisks over secrets in an error's message."""
        error.message = self.hide(error.message)
        error.args = (error.message,)


NOTHING_GIVEN = GivenSecrets()


async def read_given(
    session: AsyncSession, keyring: Keyring, sandbox_id: UUID, count: int | None = None
) -> GivenSecrets:
    """What a sandbox was given; `count`, its `secret_count`, where the caller has just read it.

    `SecretUnreadableError` where a value's key is not here.
    """
    if count is None:
        count = await session.scalar(select(Sandbox.secret_count).where(Sandbox.id == sandbox_id))
    if not count:
        return NOTHING_GIVEN
    rows = await session.execute(
        select(SecretVersion, SandboxSecret.for_every_command)
        .join(SandboxSecret, SandboxSecret.version_id == SecretVersion.id)
        .where(SandboxSecret.sandbox_id == sandbox_id)
        .order_by(SecretVersion.id)
    )
    of_every_command, latest, values = {}, {}, []
    for version, for_every_command in rows:
        value = _opened(keyring, version)
        values.append(value)
        latest[version.name] = value.decode()
        if for_every_command:
            of_every_command[version.name] = value.decode()
    return GivenSecrets(count, of_every_command, latest, SecretForms(values) if values else None)


async def require_unnamed(session: AsyncSession, keyring: Keyring, sandbox: Sandbox) -> None:
    """Refuse a name, template or metadata that show what the sandbox was given: they are shown to all."""
    given = await read_given(session, keyring, sandbox.id, sandbox.secret_count)
    shown = {
        "name": sandbox.name or "",
        "template": sandbox.template,
        "metadata": json.dumps(sandbox.user_metadata, ensure_ascii=False),
    }
    for field_name, text in shown.items():
        if given.hide(text) != text:
            raise InvalidError(f"{field_name} holds the value of a secret, and is not hidden.", (field_name,))


def _opened(keyring: Keyring, version: SecretVersion) -> bytes:
    try:
        return keyring.open(version.key_id, version.sealed, version.belongs_to)
    except SecretsKeyError as error:
        raise SecretUnreadableError(version.name) from error
