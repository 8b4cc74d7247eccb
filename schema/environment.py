"""Environment variables in inputs."""

from collections.abc import Sequence

import strawberry

from commandcenter.errors import InvalidError


@strawberry.input(description="An environment variable.")
class EnvVarInput:
    name: str = strawberry.field(description="Letters, digits and underscores, not beginning with a digit.")
    value: str = strawberry.field(description="Its value.")


def environment_of(variables: Sequence[EnvVarInput] | None) -> dict[str, str]:
    """The variables by name; `InvalidError` where a name is given twice."""
    environment: dict[str, str] = {}
    for variable in variables or ():
        if variable.name in environment:
            raise InvalidError(f"The environment variable {variable.name} is given twice.", ("envs",))
        environment[variable.name] = variable.value
    return environment
