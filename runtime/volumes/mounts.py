"""Which volumes a sandbox has, and where it sees them."""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.host.record import VolumeMount
from runtime.volumes.errors import InvalidVolumeError
from runtime.volumes.store import VolumeStore

MOST_MOUNTS = 16
PATH_BYTES = 1024
# A sandbox's own mounts, and what leads to its programs: nothing may cover these.
NOT_THESE = frozenset(("/", "/etc", "/home", "/root", "/tmp", "/usr", "/var"))  # noqa: S108
NOT_BELOW = ("/proc", "/dev", "/sys", "/run", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")


@dataclass(frozen=True)
class WantedMount:
    """A volume by its name, and the path that it is asked for at."""

    name: str
    path: str


def resolve_mounts(volumes: VolumeStore, team: str, wanted: Sequence[WantedMount]) -> tuple[VolumeMount, ...]:
    """The mounts that were asked for; raises `InvalidVolumeError`, which names all that can't be."""
    if len(wanted) > MOST_MOUNTS:
        raise InvalidVolumeError(f"invalid mounts: {MOST_MOUNTS} volumes can be mounted at most")
    mounts, problems = [], []
    seen: set[str] = set()
    for number, mount in enumerate(wanted):
        volume = volumes.named(team, mount.name)
        problem = _problem(mount.path, seen)
        if volume is None:
            problem = f"volume '{mount.name}' not found"
        if problem is not None:
            problems.append(f"\t- volume mount #{number}: {problem}")
        elif volume is not None:
            seen.add(mount.path)
            mounts.append(VolumeMount(volume.id, mount.name, mount.path))
    if problems:
        raise InvalidVolumeError("\n".join(("invalid mounts:", *problems)))
    # What lies above comes first, so that it doesn't cover the other.
    return tuple(sorted(mounts, key=lambda mount: mount.path.count("/")))


def _problem(path: str, seen: set[str]) -> str | None:
    if not path.startswith("/"):
        return "path must be absolute"
    if posixpath.normpath(path) != path or "\0" in path or len(path.encode()) > PATH_BYTES:
        return f"path must be in its shortest form, {PATH_BYTES} bytes at most"
    if path in NOT_THESE or any(path == each or path.startswith(f"{each}/") for each in NOT_BELOW):
        return f"path '{path}' belongs to the system; mount it at another, say /mnt/data"
    if path in seen:
        return f"path '{path}' is already used"
    return None
