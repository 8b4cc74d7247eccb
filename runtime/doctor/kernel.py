"""What the kernel gives: namespaces, file systems, filters."""

import os
import platform
from pathlib import Path

from runtime.doctor.attempts import attempt, enter_user_namespace, mount_overlay
from runtime.doctor.findings import Finding, good, limited, unfit
from runtime.host.seccomp import CALLS_BY_MACHINE

KERNEL = Path("/proc/sys/kernel")
NAMESPACES_PER_SANDBOX = 2


def architecture() -> Finding:
    """Whether there is a system-call filter for this machine."""
    machine = platform.machine()
    if machine in CALLS_BY_MACHINE:
        return good("architecture", f"{machine}, Linux {platform.release()}")
    return unfit("architecture", f"no filter is known for {machine}", "Use a machine of x86_64 or aarch64.")


def user_namespaces() -> Finding:
    """Whether an ordinary user may make one, and what bars it."""
    number = attempt(enter_user_namespace)
    if number == 0:
        return good("user namespaces", "an ordinary user may make them")
    return unfit("user namespaces", f"refused: {os.strerror(number)}", _how_to_allow())


def namespace_count(sandboxes: int) -> Finding:
    """Whether there may be as many namespaces as sandboxes need."""
    name, setting = "namespaces in all", Path("/proc/sys/user/max_user_namespaces")
    allowed, needed = _number(setting), sandboxes * NAMESPACES_PER_SANDBOX
    if allowed is None or allowed >= needed:
        return good(name, f"{allowed or 'no bound'}, for {sandboxes} sandboxes")
    mend = f"sysctl -w user.max_user_namespaces={needed}"
    return limited(name, f"{allowed}, and {sandboxes} sandboxes need {needed}", mend)


def overlay() -> Finding:
    """Whether layers can be mounted by a sandbox itself."""
    number = attempt(mount_overlay)
    if number == 0:
        return good("overlay", "can be mounted in a user namespace")
    return unfit(
        "overlay",
        f"can't be mounted in a user namespace: {os.strerror(number)}",
        "Use Linux 5.11 or later with overlayfs (modprobe overlay); a container's filter must pass mount.",
    )


def system_call_filter() -> Finding:
    """Whether the kernel takes filters."""
    if (KERNEL / "seccomp" / "actions_avail").exists():
        return good("system-call filter", "seccomp is there")
    return unfit("system-call filter", "there is none", "Use a kernel with CONFIG_SECCOMP_FILTER.")


def _how_to_allow() -> str:
    if _number(KERNEL / "apparmor_restrict_unprivileged_userns"):
        return (
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with `userns,` "
            "for the runtime's bwrap"
        )
    if _number(KERNEL / "unprivileged_userns_clone") == 0:
        return "sysctl -w kernel.unprivileged_userns_clone=1"
    if _number(Path("/proc/sys/user/max_user_namespaces")) == 0:
        return "sysctl -w user.max_user_namespaces=10000"
    return "In a container, its seccomp profile must pass unshare; else use a kernel with CONFIG_USER_NS."


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
