"""Try from inside what a sandbox must not be able to do; prints a line `name=yes` for each wall that holds.

Only reads, `access` and calls that fail or change nothing: a probe that succeeded must not do harm either.
"""

import ctypes
import os
import socket
import sys
from collections.abc import Callable

CLONE_NEWUSER = 0x10000000
AF_VSOCK = 40
PATIENCE_SECONDS = 5
libc = ctypes.CDLL(None, use_errno=True)


def fails(call: object, *arguments: object) -> bool:
    """Whether a call of the C library fails."""
    return bool(call(*arguments) == -1)  # type: ignore[operator]


def refuses(family: int) -> bool:
    """Whether there are no sockets of a family."""
    try:
        socket.socket(family, socket.SOCK_STREAM).close()
    except OSError:
        return True
    return False


def unreachable(address: str) -> bool:
    """Whether nobody answers at an address; a connection that is turned to the runtime is closed by it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(PATIENCE_SECONDS)
        try:
            probe.connect((address, 80))
            probe.send(b"GET / HTTP/1.0\r\n\r\n")
            return not probe.recv(1)
        except OSError:
            return True


def network_devices() -> list[str]:
    """Names of the network devices."""
    with open("/proc/net/dev") as devices:
        return [line.split(":")[0].strip() for line in devices if ":" in line]


def status(name: str) -> str:
    """A field of our own status."""
    with open("/proc/self/status") as lines:
        return next(line.split()[1] for line in lines if line.startswith(name + ":"))


WALLS: dict[str, Callable[[], bool]] = {
    "kernel_settings_read_only": lambda: not os.access("/proc/sys/kernel/core_pattern", os.W_OK),
    "programs_read_only": lambda: (
        not any(os.access(path, os.W_OK) for path in ("/usr", "/run/runtime", "/proc/sys", "/dev"))
    ),
    "mount_refused": lambda: fails(libc.mount, b"none", b"/tmp", b"tmpfs", 0, None),
    "new_namespaces_refused": lambda: fails(libc.unshare, CLONE_NEWUSER),
    "no_capabilities": lambda: int(status("CapEff"), 16) == 0 and int(status("CapBnd"), 16) == 0,
    "no_new_privileges": lambda: status("NoNewPrivs") == "1",
    "system_calls_filtered": lambda: status("Seccomp") == "2",
    "no_hypervisor_sockets": lambda: refuses(AF_VSOCK),
    "only_loopback": lambda: network_devices() == ["lo"],
    "no_route_out": lambda: unreachable("169.254.169.254") and unreachable("192.0.2.1"),
    "supervisor_unreadable": lambda: (
        not os.access("/proc/1/environ", os.R_OK) and not os.access("/proc/1/fd", os.R_OK)
    ),
    "host_processes_hidden": lambda: max(int(name) for name in os.listdir("/proc") if name.isdigit()) < 1000,
    "home_writable": lambda: os.access("/home/user", os.W_OK),
}


def main() -> None:
    """Try each, whatever the one before did."""
    for name, holds in WALLS.items():
        try:
            verdict = "yes" if holds() else "no"
        except Exception as error:
            verdict = f"no ({error})"
        sys.stdout.write(f"{name}={verdict}\n")


main()
