"""The folder that keeps everything: `$COMMANDCENTER_HOME`."""

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from processes.errors import StartError
from processes.identity import Identity, open_to_others, service_identity

SYSTEM_FOLDER = Path("/var/lib/commandcenter")
LONGEST_SOCKET_FOLDER = 85
"""Bytes: the kernel takes 108 for a socket's whole path, and the longest name in the folder has 20."""


@dataclass(frozen=True)
class Home:
    """Where things lie. `folder` is ours alone; the others belong to whom the embedded servers run as."""

    folder: Path
    services: Path
    sockets: Path
    identity: Identity | None

    @property
    def logs(self) -> Path:
        """One file a process, rotated."""
        return self.folder / "logs"

    @property
    def admin_key(self) -> Path:
        """The key that the first start created."""
        return self.folder / "admin.key"

    @property
    def running(self) -> Path:
        """A record of each child process, so that a later start can end what a crash left behind."""
        return self.folder / "running"

    def service_folder(self, name: str) -> Path:
        """The private folder of one embedded server, created and given to whom it runs as."""
        return _private_folder(self.services / name, self.identity)


def open_home(folder: Path) -> Home:
    """Create what is missing below `folder` (absolute) and return the layout.

    Raises `StartError` when the folder cannot be written.
    """
    try:
        _private_folder(folder, None)
        for name in ("logs", "running"):
            _private_folder(folder / name, None)
        identity = service_identity()
        services = _services_folder(folder, identity)
        return Home(folder, services, _sockets_folder(services, identity), identity)
    except OSError as error:
        raise StartError(
            f"Cannot write {error.filename or folder} ({error.strerror}). "
            "Set COMMANDCENTER_HOME to a folder that you can write."
        ) from error


@contextmanager
def locked(home: Home) -> Iterator[None]:
    """Hold the home for one `commandcenter up`; raises `StartError` when another holds it."""
    path = home.folder / "up.lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise StartError(
                f"CommandCenter is already running on {home.folder} (process {file.read().strip() or '?'}). "
                "Stop that one first, or set COMMANDCENTER_HOME to another folder."
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
        file.truncate(0)


def _services_folder(folder: Path, identity: Identity | None) -> Path:
    if identity is None:
        return folder
    if open_to_others(folder.parent):
        # Passable, not listable: the servers' own user must get through to the folders that are theirs.
        folder.chmod(0o711)
        return folder
    SYSTEM_FOLDER.mkdir(mode=0o711, parents=True, exist_ok=True)
    services = SYSTEM_FOLDER / _short_hash(folder)
    services.mkdir(mode=0o711, exist_ok=True)
    services.chmod(0o711)
    pointer = folder / "services"
    if not pointer.is_symlink():
        pointer.symlink_to(services)
    return services


def _sockets_folder(services: Path, identity: Identity | None) -> Path:
    inside = services / "sockets"
    if len(os.fsencode(inside)) <= LONGEST_SOCKET_FOLDER:
        return _private_folder(inside, identity)
    return _private_folder(Path("/tmp") / f"commandcenter-{os.geteuid()}-{_short_hash(services)}", identity)  # noqa: S108 - its owner is checked


def _private_folder(folder: Path, identity: Identity | None) -> Path:
    uid = identity.uid if identity else os.geteuid()
    if not folder.exists():
        folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        if identity:
            os.chown(folder, identity.uid, identity.gid)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid:
        raise StartError(
            f"{folder} must be a folder of the user id {uid}, and belongs to {found.st_uid}. "
            "Start as the same user as before, or set COMMANDCENTER_HOME to another folder."
        )
    if found.st_mode & 0o066:
        folder.chmod(0o700)
    return folder


def _short_hash(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
