"""How E2B's clients reach the runtime: environment variables, for people and for programs."""

import shlex

from runtime.host.errors import MachineUnfitError
from runtime.host.layout import Layout
from runtime.keys import given_keys
from runtime.settings import RuntimeSettings


def client_variables(settings: RuntimeSettings, url: str, key: str) -> dict[str, str]:
    """The variables that E2B's clients read; with names of its own and TLS, they need the domain alone."""
    if settings.domain is not None and settings.tls_certificate is not None:
        return {"E2B_API_KEY": key, "E2B_DOMAIN": settings.domain}
    return {"E2B_API_KEY": key, "E2B_API_URL": url, "E2B_SANDBOX_URL": url, "E2B_VOLUME_API_URL": url}


def exports(variables: dict[str, str]) -> str:
    """The same as lines for a shell."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def variables_of_serving(settings: RuntimeSettings) -> dict[str, str]:
    """Those of the runtime that serves from the state directory; raises MachineUnfitError without one."""
    layout = Layout(settings.state_directory, settings.state_directory)
    try:
        url = layout.address_file.read_text().strip()
    except FileNotFoundError:
        raise MachineUnfitError(
            f"No runtime serves from {layout.state}. Start one, or set RUNTIME_STATE_DIRECTORY to another's."
        ) from None
    keys = given_keys(settings) or ([layout.key_file.read_text().strip()] if layout.key_file.exists() else [])
    if not keys:
        raise MachineUnfitError("The runtime was given its keys; set RUNTIME_API_KEY to one of them.")
    return client_variables(settings, url, next(iter(keys)))
