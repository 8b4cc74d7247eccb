"""All providers of this installation, by name."""

from collections.abc import Iterable, Iterator

from commandcenter.providers.accounts import ProviderAccount
from commandcenter.providers.errors import ProviderNotConfiguredError
from commandcenter.providers.sandboxes import Provider


class Providers:
    """The configured providers; a name without an account is a typed error."""

    def __init__(self, accounts: Iterable[ProviderAccount]) -> None:
        self._by_name = {account.name: Provider(account) for account in accounts}

    def __iter__(self) -> Iterator[Provider]:
        return iter(self._by_name.values())

    def get(self, name: str) -> Provider:
        """The provider called `name`; raises `ProviderNotConfiguredError`."""
        provider = self._by_name.get(name)
        if provider is None:
            configured = ", ".join(self._by_name) or "none"
            raise ProviderNotConfiguredError(
                f"Provider {name} is not configured (configured: {configured}). "
                "Choose another, or set its key and restart."
            )
        return provider
