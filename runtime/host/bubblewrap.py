"""The command line that makes a sandbox of a supervisor.

bubblewrap mounts every part side by side at the top of a root that no sandbox can write, and the supervisor
puts them together afterwards: bubblewrap before 0.12 follows links in the target of a mount out to the host
(CVE-2026-87766), so no target may lie below a tree that a sandbox can write. All of it comes from us;
nothing of a request gets into this command line.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runtime.launcher.requests import FILTER, INFORMATION, LISTENER

USER_ID = 1000
PROGRAM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
SUPERVISOR = "/runtime/supervisor.pyc"
TREE, TREE_OF_PROGRAMS = "/tree", "/tree-usr"
# To put the root together, turn connections to us, and let go of all this again; the rest is what `root`
# inside may do.
TO_ASSEMBLE = ("CAP_SYS_ADMIN", "CAP_SETPCAP", "CAP_NET_ADMIN")
OF_ROOT = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID",
    "CAP_NET_BIND_SERVICE",
)  # fmt: skip
TOP_FOLDERS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")


@dataclass(frozen=True)
class Trees:
    """Where bubblewrap finds a sandbox's files: paths of the host, or of its idmapped mounts."""

    root_layers: Sequence[str]
    """Read-only, topmost first; the last is the skeleton."""
    program_layers: Sequence[str]
    """The same for /usr, the last is the host's; empty where the host's /usr can't be written upon."""
    upper: str
    """The folder with the sandbox's own `up` and `work`."""


@dataclass(frozen=True)
class ExtraMount:
    """A tree of the host's that a sandbox sees at a path of its own, such as a volume."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Launch:
    """What differs between sandboxes."""

    trees: Trees
    inside: Path
    """The compiled programs for inside."""
    python: str
    python_root: Path | None
    own_ids: bool
    """Whether it runs in a user namespace that was made for it; else bubblewrap makes one of our own id."""
    scratch_bytes: int
    shared_memory_bytes: int
    lease: int
    limits: str
    redirection: str = ""
    """The ports that connections and questions for names are turned to, with a comma; empty for none."""
    extra_mounts: Sequence[ExtraMount] = field(default_factory=tuple)


def command(bubblewrap: Path, launch: Launch) -> list[str]:
    """bubblewrap with all its arguments, in the fixed order: namespaces, programs, tree, scratch, kernel."""
    return [
        str(bubblewrap),
        *_namespaces(own_ids=launch.own_ids),
        *_programs(launch),
        *_tree(launch.trees),
        *_extra(launch.extra_mounts),
        *_scratch(launch),
        *_kernel(launch),
        "--remount-ro", "/",
        "--chdir", "/",
        "--info-fd", str(INFORMATION),
        "--",
        launch.python, "-I", "-S", "-E", "-B", SUPERVISOR,
        str(LISTENER), str(FILTER), str(launch.lease), launch.limits, launch.redirection,
        *(f"{source}:{target}" for source, target in _assembly(launch)),
    ]  # fmt: skip


def _namespaces(*, own_ids: bool) -> list[str]:
    # With own ids, the launcher has made the user namespace, and barred others below it.
    ours = ["--unshare-user", "--uid", str(USER_ID), "--gid", str(USER_ID), "--disable-userns"]
    users = [] if own_ids else ours
    capabilities = (*TO_ASSEMBLE, *(OF_ROOT if own_ids else ()))
    return [
        *users, "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-net", "--unshare-cgroup-try",
        "--hostname", "sandbox", "--new-session", "--as-pid-1",
        "--cap-drop", "ALL", *(word for each in capabilities for word in ("--cap-add", each)),
        "--clearenv", "--setenv", "PATH", PROGRAM_PATH,
    ]  # fmt: skip


def _programs(launch: Launch) -> list[str]:
    """What the supervisor itself runs on: the host's own, whatever the sandbox makes of its copy."""
    arguments = ["--ro-bind", "/usr", "/usr"]
    for folder in map(Path, TOP_FOLDERS):
        if folder.is_symlink():
            arguments += ["--symlink", str(folder.readlink()), str(folder)]
        elif folder.is_dir():
            arguments += ["--ro-bind", str(folder), str(folder)]
    arguments += ["--ro-bind", str(launch.inside), "/runtime"]
    if launch.python_root is not None:
        arguments += ["--ro-bind", str(launch.python_root), "/python"]
    return arguments


def _tree(trees: Trees) -> list[str]:
    arguments = _overlay(trees.root_layers, f"{trees.upper}/up/root", f"{trees.upper}/work/root", TREE)
    if trees.program_layers:
        upper, work = f"{trees.upper}/up/usr", f"{trees.upper}/work/usr"
        arguments += _overlay(trees.program_layers, upper, work, TREE_OF_PROGRAMS)
    return arguments


def _overlay(layers: Sequence[str], upper: str, work: str, target: str) -> list[str]:
    """bubblewrap stacks its sources upwards."""
    sources = [word for layer in reversed(layers) for word in ("--overlay-src", layer)]
    return [*sources, "--overlay", upper, work, target]


def _extra(mounts: Sequence[ExtraMount]) -> list[str]:
    return [
        word
        for number, mount in enumerate(mounts)
        for word in ("--ro-bind" if mount.read_only else "--bind", mount.source, f"/extra-{number}")
    ]


def _scratch(launch: Launch) -> list[str]:
    # Their pages count against the sandbox's memory: unbounded, filling them would end it.
    return [
        "--size", str(launch.scratch_bytes), "--perms", "1777", "--tmpfs", "/tmp",
        "--size", str(launch.shared_memory_bytes), "--perms", "0755", "--tmpfs", "/run",
    ]  # fmt: skip


def _kernel(launch: Launch) -> list[str]:
    return [
        "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys",
        "--dev", "/dev",
        "--size", str(launch.shared_memory_bytes), "--perms", "1777", "--tmpfs", "/dev/shm",
        "--remount-ro", "/dev",
    ]  # fmt: skip


def _assembly(launch: Launch) -> list[tuple[str, str]]:
    """What the supervisor mounts where in the tree."""
    pairs = [(name, name) for name in ("/proc", "/dev", "/tmp", "/run")]
    pairs.append((TREE_OF_PROGRAMS if launch.trees.program_layers else "/usr", "/usr"))
    pairs += [(name, name) for name in TOP_FOLDERS if Path(name).is_dir() and not Path(name).is_symlink()]
    pairs.append(("/runtime", "/run/runtime"))
    if launch.python_root is not None:
        pairs.append(("/python", "/run/python"))
    return [*pairs, *((f"/extra-{number}", mount.target) for number, mount in enumerate(launch.extra_mounts))]
