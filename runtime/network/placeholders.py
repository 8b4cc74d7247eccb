"""`${e2b.secrets.NAME}` in what rules set: filled in outside, when a request leaves."""

import re
from collections.abc import Callable

ANY = "${e2b."
SECRET = re.compile(r"\$\{e2b\.secrets\.([^{}\x00-\x1f\x7f-\x9f]+)\}")


def names_only_secrets(value: str) -> bool:
    """Whether every placeholder in a value is a secret's."""
    return ANY not in SECRET.sub("", value)


def filled(value: str, secret: Callable[[str], str]) -> str:
    """A value with the secrets that it names, which `secret` gives by name."""
    return SECRET.sub(lambda found: secret(found[1]), value)
