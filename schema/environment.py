"""Environment variables in inputs."""

import re
from collections.abc import Sequence

import strawberry

from commandcenter.errors import InvalidError

MOST_VARIABLES = 200
LARGEST_BYTES = 128 * 1024


@strawberry.input(description="An environment variable.")
class EnvVarInput:
    name: str = strawberry.field(description="Letters, digits and underscores, not beginning with a digit.")
    value: str = strawberry.field(description="Its value.")


def environment_of(variables: Sequence[EnvVarInput] | None) -> dict[str, str]:
    """The variables by name; `InvalidError` for a name or value that no process can take."""
    environment: dict[str, str] = {}
    for variable in variables or ():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable.name):
            raise InvalidError(
                f"{variable.name!r} is no name for an environment variable: use letters, digits and "
                "underscores, not beginning with a digit.",
                ("envs",),
            )
        if variable.name in environment:
            raise InvalidError(f"The environment variable {variable.name} is given twice.", ("envs",))
        if "\0" in variable.value:
            raise InvalidError(f"The value of {variable.name} holds a NUL, which none can.", ("envs",))
        environment[variable.name] = variable.value
    size = sum(len(name) + len(value.encode(errors="replace")) for name, value in environment.items())
    if len(environment) > MOST_VARIABLES or size > LARGEST_BYTES:
        raise InvalidError(
            f"At most {MOST_VARIABLES} environment variables of {LARGEST_BYTES} bytes in all.", ("envs",)
        )
    return environment
