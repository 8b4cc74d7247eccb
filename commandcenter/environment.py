"""Environment variables that callers give, before any process gets them."""

import re
from collections.abc import Mapping

from commandcenter.errors import InvalidError

MOST_VARIABLES = 200
LARGEST_BYTES = 128 * 1024


def require_valid_environment(environment: Mapping[str, str]) -> None:
    """Refuse names and values that no process can take, and more than `LARGEST_BYTES` in all."""
    for name, value in environment.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise InvalidError(
                f"{name!r} is no name for an environment variable: use letters, digits and underscores, "
                "not beginning with a digit.",
                ("envs",),
            )
        if "\0" in value:
            raise InvalidError(f"The value of {name} holds a NUL, which none can.", ("envs",))
    size = sum(len(name) + len(value.encode(errors="replace")) for name, value in environment.items())
    if len(environment) > MOST_VARIABLES or size > LARGEST_BYTES:
        raise InvalidError(
            f"At most {MOST_VARIABLES} environment variables of {LARGEST_BYTES} bytes in all.", ("envs",)
        )
