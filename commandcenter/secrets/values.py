"""What a secret may be: its name, its value, and which ones a request names."""

import re
from collections.abc import Mapping, Sequence

from commandcenter.errors import ConflictError, InvalidError

SHORTEST_BYTES = 8
LARGEST_BYTES = 64 * 1024
LONGEST_NAME = 200
MOST_NAMES = 100


def require_valid_name(name: str) -> None:
    """Refuse what no environment variable can be called."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or len(name) > LONGEST_NAME:
        raise InvalidError(
            "A secret's name is that of an environment variable: letters, digits and underscores, not "
            f"beginning with a digit, at most {LONGEST_NAME}.",
            ("name",),
        )


def encoded_value(value: str) -> bytes:
    """The value's bytes. Refuses what no process can be given, and what is too short to be masked."""
    encoded = value.encode()
    if b"\0" in encoded:
        raise InvalidError("The value holds a NUL, which no environment variable can.", ("value",))
    if len(encoded) > LARGEST_BYTES:
        raise InvalidError(
            f"A secret has at most {LARGEST_BYTES} bytes. Write larger ones to a file.", ("value",)
        )
    if len(encoded.strip()) < SHORTEST_BYTES:
        raise InvalidError(
            f"A secret has at least {SHORTEST_BYTES} bytes, blanks around it not counted: to mask a shorter "
            "one would make output unreadable. Give what is no secret as `envs`.",
            ("value",),
        )
    return encoded


def require_valid_names(names: Sequence[str], environment: Mapping[str, str]) -> None:
    """Refuse a request that names too many secrets, one twice, or one that `envs` sets too."""
    if len(names) > MOST_NAMES:
        raise InvalidError(f"Name at most {MOST_NAMES} secrets.", ("secrets",))
    if len(set(names)) < len(names):
        raise InvalidError("Name each secret once.", ("secrets",))
    if both := sorted(set(names) & set(environment)):
        raise ConflictError(
            f"{both[0]!r} is given by secrets and by envs. Give it by one of them.", ("secrets",)
        )
