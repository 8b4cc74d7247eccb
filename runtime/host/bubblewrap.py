"""The command line that makes a sandbox of a supervisor.

No target of a mount lies below a tree that a sandbox can write: bubblewrap before 0.12 follows links there
out to the host (CVE-2026-87766). All come from us; nothing of a request gets into this command line.
"""

from dataclasses import dataclass
from pathlib import Path

from runtime.host.staging import Programs

USER_ID = 1000
HOME = "/home/user"
PROGRAM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
SUPERVISOR = "/run/runtime/supervisor.pyc"


@dataclass(frozen=True)
class Launch:
    """What differs between sandboxes; descriptors are numbers that bubblewrap inherits."""

    home: Path
    scratch_bytes: int
    shared_memory_bytes: int
    seccomp: int
    information: int
    listener: int
    lease: int
    limits: str


def command(programs: Programs, launch: Launch) -> list[str]:
    """bubblewrap with all its arguments, in the fixed order: namespaces, root, scratch, kernel, program."""
    return [
        str(programs.bubblewrap),
        *_namespaces(),
        *_root(programs, launch),
        *_scratch(launch),
        *_kernel(launch),
        "--remount-ro", "/",
        "--chdir", "/",
        "--seccomp", str(launch.seccomp),
        "--info-fd", str(launch.information),
        "--",
        programs.python, "-I", "-S", "-E", "-B", SUPERVISOR,
        str(launch.listener), str(launch.lease), launch.limits,
    ]  # fmt: skip


def _namespaces() -> list[str]:
    return [
        "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-net",
        "--unshare-cgroup-try", "--uid", str(USER_ID), "--gid", str(USER_ID), "--disable-userns",
        "--hostname", "sandbox", "--new-session", "--as-pid-1", "--cap-drop", "ALL",
        "--clearenv", "--setenv", "PATH", PROGRAM_PATH,
    ]  # fmt: skip


def _root(programs: Programs, launch: Launch) -> list[str]:
    arguments = ["--ro-bind", "/usr", "/usr"]
    for folder in map(Path, ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")):
        if folder.is_symlink():
            arguments += ["--symlink", str(folder.readlink()), str(folder)]
        elif folder.is_dir():
            arguments += ["--ro-bind", str(folder), str(folder)]
    arguments += ["--ro-bind", str(programs.etc), "/etc"]
    for name in ("/home", "/run", "/var", "/opt", "/mnt", "/srv"):
        arguments += ["--perms", "0755", "--dir", name]
    arguments += ["--bind", str(launch.home), HOME]
    arguments += [
        "--perms",
        "0755",
        "--dir",
        "/run/runtime",
        "--ro-bind",
        str(programs.inside),
        "/run/runtime",
    ]
    if programs.python_root is not None:
        arguments += ["--ro-bind", str(programs.python_root), "/run/python"]
    return [*arguments, "--symlink", "/run", "/var/run", "--symlink", "/tmp", "/var/tmp"]


def _scratch(launch: Launch) -> list[str]:
    # Their pages count against the sandbox's memory: unbounded, filling them would end it.
    return ["--size", str(launch.scratch_bytes), "--perms", "1777", "--tmpfs", "/tmp"]


def _kernel(launch: Launch) -> list[str]:
    return [
        "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys",
        "--dev", "/dev",
        "--size", str(launch.shared_memory_bytes), "--perms", "1777", "--tmpfs", "/dev/shm",
        "--remount-ro", "/dev",
    ]  # fmt: skip
