"""What there is to bound sandboxes with, and to run them on."""

import grp
import os
import pwd
import resource
import shutil
from pathlib import Path

from runtime.doctor.findings import Finding, good, limited, unfit
from runtime.host.limits.cgroup_v1 import CgroupV1
from runtime.host.limits.cgroup_v2 import CgroupV2
from runtime.host.staging import HOST_PYTHON, OLDEST_PYTHON, version_of
from runtime.launcher.namespaces import IDS_OF_A_SANDBOX
from runtime.settings import RuntimeSettings

MEBIBYTE = 1 << 20
LITTLE_DISK = 1 << 30
DESCRIPTORS_PER_SANDBOX = 32
NO_ID = (1 << 32) - 1
"""The kernel's sign for no user."""


def own_users(settings: RuntimeSettings) -> Finding:
    """Whether each sandbox can have host users of its own."""
    if os.geteuid() != 0:
        return limited(
            "own users",
            "all sandboxes share this user's id",
            "Start the runtime as root, to give each its own.",
        )
    first = settings.user_id_first
    end = first + settings.user_id_count * IDS_OF_A_SANDBOX
    if end > NO_ID:
        return unfit(
            "own users",
            f"ids {first} to {end - 1} are more than there are",
            "Lower RUNTIME_USER_ID_COUNT: each sandbox takes 65,536 ids.",
        )
    users = {user.pw_name for user in pwd.getpwall() if first <= user.pw_uid < end}
    groups = {group.gr_name for group in grp.getgrall() if first <= group.gr_gid < end}
    taken = sorted(users | groups)
    if taken:
        return unfit(
            "own users",
            f"users or groups of this machine have ids of the sandboxes: {', '.join(taken[:5])}",
            "Set RUNTIME_USER_ID_FIRST to the beginning of a free range, or lower RUNTIME_USER_ID_COUNT.",
        )
    return good("own users", f"host ids {first} to {end - 1}, for sandboxes alone")


def cgroups() -> Finding:
    """What bounds memory, processes and processors."""
    for version, kind in (("2", CgroupV2), ("1", CgroupV1)):
        if kind.available():
            return good("cgroups", f"version {version} bounds memory, processes and processors")
    detail = "none are ours to use: rlimits and a watch bound sandboxes, and nothing their processors"
    mend = "Start the runtime as root"
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        mend += (
            ", by `systemd-run --user --scope -p Delegate=yes`, or as a service with "
            "`Delegate=memory pids cpu`"
        )
    return limited("cgroups", detail, f"{mend}.")


def interpreter() -> Finding:
    """The Python that sandboxes run on."""
    found = version_of(HOST_PYTHON) if HOST_PYTHON.exists() else (0, 0)
    if found >= OLDEST_PYTHON:
        return good("Python inside", f"{HOST_PYTHON} is {'.'.join(map(str, found))}")
    wanted = ".".join(map(str, OLDEST_PYTHON))
    return limited(
        "Python inside",
        f"no {HOST_PYTHON} of {wanted} or later: ours is lent",
        f"Install Python {wanted} there.",
    )


def disk_space(settings: RuntimeSettings) -> Finding:
    """Room for sandboxes' files."""
    place = settings.state_directory.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    detail = f"{free // MEBIBYTE} MiB are free at {settings.state_directory}"
    if free >= LITTLE_DISK:
        return good("disk space", detail)
    return limited("disk space", detail, "Set RUNTIME_STATE_DIRECTORY to a place with more.")


def open_files(settings: RuntimeSettings) -> Finding:
    """Whether the runtime may have as many descriptors as its sandboxes need."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    needed = settings.sandbox_limit * DESCRIPTORS_PER_SANDBOX
    if hard == resource.RLIM_INFINITY or hard >= needed:
        return good("open files", f"up to {hard if hard >= 0 else 'any number'} for the runtime")
    return limited(
        "open files",
        f"{hard} for {settings.sandbox_limit} sandboxes, which may want {needed}",
        f"ulimit -Hn {needed}, or LimitNOFILE={needed} in its service.",
    )
