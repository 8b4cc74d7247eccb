"""Under which user the embedded servers run.

PostgreSQL refuses to run as root, and nothing else should need to. Started as root, the servers get a user
id that nobody on the machine has, so that no other program can signal them or read their files.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from processes.errors import StartError

FIRST_SERVICE_UID = 59_432
"""Above the ids that people get and below those of distributions (60000 and up)."""

_CANDIDATES = 500


@dataclass(frozen=True)
class Identity:
    """A user and a group id that a child process runs under, without further groups."""

    uid: int
    gid: int


def service_identity() -> Identity | None:
    """The identity for embedded servers: one of their own when we are root, else None: ours."""
    if os.geteuid() != 0:
        return None
    for number in range(FIRST_SERVICE_UID, FIRST_SERVICE_UID + _CANDIDATES):
        try:
            pwd.getpwuid(number)
        except KeyError:
            return Identity(number, number)
    raise StartError(
        f"The user ids {FIRST_SERVICE_UID} to {FIRST_SERVICE_UID + _CANDIDATES - 1} are all taken, so the "
        "embedded servers cannot get one of their own. Start as an ordinary user instead."
    )


def listed_identity() -> Identity | None:
    """An identity that `initdb` accepts: it wants one with an entry in /etc/passwd; None: ours will do."""
    if os.geteuid() == 0:
        for name in ("nobody", "postgres", "daemon"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return Identity(entry.pw_uid, entry.pw_gid)
        raise StartError(
            "PostgreSQL does not run as root, and /etc/passwd has no user 'nobody' to set it up with. "
            "Add one, or give DATABASE_URL."
        )
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        raise StartError(
            f"The user id {os.geteuid()} has no entry in /etc/passwd, which PostgreSQL's initdb wants. "
            "Add one, start as another user, or give DATABASE_URL."
        ) from None
    return None


def open_to_others(path: Path) -> bool:
    """Whether any user of the machine can reach `path`, an existing folder or file, and read it."""
    if not path.stat().st_mode & stat.S_IROTH and path.is_file():
        return False
    folders = path.resolve().parents if path.is_file() else (path.resolve(), *path.resolve().parents)
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in folders)
