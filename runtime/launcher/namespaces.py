"""What root makes for a sandbox before bubblewrap: a user namespace of its own ids, and its trees in them.

On disk every tree has the ids that it has inside, 0 for root. Mounted with the sandbox's ids they belong to
it, so that any tree can be below any sandbox without a copy.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from runtime.launcher import kernel

IDS_OF_A_SANDBOX = 65_536
NESTED_NAMESPACES = "/proc/sys/user/max_user_namespaces"


def enter(first_id: int, staging: str, trees: Sequence[tuple[str, str]], hidden: str) -> None:
    """Leave root for the sandbox's own: afterwards id 0 is `first_id` of the host, and nothing more.

    `trees` are host paths, each with the name under which it is mounted in `staging`. Below `hidden` lie the
    mounts of other sandboxes: held here, they would outlive them.
    """
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.make_mounts_private()
    user_namespace = make_user_namespace(first_id)
    kernel.mount_memory(staging)
    for source, name in trees:
        target = Path(staging, name)
        target.mkdir()
        kernel.mount_idmapped(source, str(target), user_namespace)
    kernel.let_go(hidden)
    kernel.join_user_namespace(user_namespace)
    os.close(user_namespace)
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def make_user_namespace(first_id: int) -> int:
    """A namespace that maps ids 0 to 65535 to those of the host from `first_id`, and allows none below it."""
    ready, say_ready = os.pipe()
    mapped, say_mapped = os.pipe()
    pid = os.fork()
    if not pid:
        # While it held our own ends, it would wait for itself.
        os.close(ready)
        os.close(say_mapped)
        _hold_namespace(first_id, say_ready, mapped)
    # Only the child holds its ends, so that we read the end of the pipe if it dies.
    os.close(say_ready)
    os.close(mapped)
    try:
        if not os.read(ready, 1):
            raise OSError("a user namespace could not be made")
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{pid}/{name}").write_text(f"0 {first_id} {IDS_OF_A_SANDBOX}\n")
        os.write(say_mapped, b"m")
        if not os.read(ready, 1):
            raise OSError("a user namespace could not be closed to others below it")
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(ready)
        os.close(say_mapped)
        os.waitpid(pid, 0)


def _hold_namespace(first_id: int, say_ready: int, mapped: int) -> None:
    """In a child: make the namespace, and hold it until our parent has opened it. Never returns."""
    try:
        os.setgroups([])
        os.setresgid(first_id, first_id, first_id)
        os.setresuid(first_id, first_id, first_id)
        kernel.keep_readable()
        kernel.unshare(kernel.CLONE_NEWUSER)
        os.write(say_ready, b"u")
        os.read(mapped, 1)
        Path(NESTED_NAMESPACES).write_text("0")
        os.write(say_ready, b"n")
        os.read(mapped, 1)
    finally:
        os._exit(0)
