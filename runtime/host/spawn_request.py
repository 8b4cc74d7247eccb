"""What a supervisor is told of a program that it is to start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class SpawnRequest:
    """What the supervisor is to start; how it reads the fields: `runtime.inside.supervisor`."""

    arguments: Sequence[str]
    variables: Mapping[str, str]
    directory: str
    places: str
    identity: str
    terminal_size: str = ""

    def fields(self) -> tuple[str, ...]:
        """In the order of the message."""
        variables = [f"{name}={value}" for name, value in self.variables.items()]
        return (
            self.directory,
            "\0".join(self.arguments),
            "\0".join(variables),
            self.places,
            self.terminal_size,
            self.identity,
        )
