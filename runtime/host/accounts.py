"""The users inside a sandbox."""

import re
from dataclasses import dataclass

from runtime.host.bubblewrap import USER_ID
from runtime.host.errors import HostError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
HIGHEST_ID = 65_535


class UnknownUserError(HostError):
    """The sandbox has no user of this name."""


@dataclass(frozen=True)
class Account:
    """A user as the sandbox's own /etc/passwd tells: not to be trusted beyond the sandbox."""

    name: str
    user: int
    group: int
    groups: tuple[int, ...]
    home: str

    def identity(self, *, reaches_every_file: bool = False) -> str:
        """As the supervisor reads it."""
        groups = ",".join(str(number) for number in self.groups)
        return f"{self.user}:{self.group}:{groups}{':files' if reaches_every_file else ''}"

    def variables(self) -> dict[str, str]:
        """What every process of this user finds in its environment."""
        return {"HOME": self.home, "USER": self.name, "LOGNAME": self.name, "SHELL": "/bin/bash"}

    @classmethod
    def of(cls, name: str, row: list[bytes]) -> "Account":
        """From the supervisor's answer: user, group, home, groups."""
        try:
            user, group = int(row[0]), int(row[1])
            groups = tuple(int(number) for number in row[3].split(b","))
            home = row[2].decode()
        except (ValueError, IndexError):
            raise UnknownUserError(f"the sandbox's /etc/passwd can't be read for user '{name}'") from None
        if not all(0 <= number <= HIGHEST_ID for number in (user, group, *groups)):
            raise UnknownUserError(f"user '{name}' has ids beyond {HIGHEST_ID}")
        if not home.startswith("/") or "\0" in home:
            raise UnknownUserError(f"the home of user '{name}' is no absolute path")
        return cls(name, user, group, groups, home)


ROOT = Account("root", 0, 0, (0,), "/root")
DEFAULT = Account("user", USER_ID, USER_ID, (USER_ID,), "/home/user")
# As every sandbox begins. What a program inside makes of /etc/passwd changes nothing for these two.
KNOWN = {account.name: account for account in (ROOT, DEFAULT)}
