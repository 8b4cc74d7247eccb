"""The system-call filter of a sandbox, as a classic BPF program written without libseccomp.

A deny-list: what reaches for the kernel's rarely trodden parts, other namespaces or the host is refused;
debuggers, threads and browsers' own needs stay possible. A second wall behind the namespaces.
"""

import errno
import platform
import struct

from runtime.host.errors import MachineUnfitError

LOAD, JUMP_EQUAL, JUMP_GREATER_EQUAL, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000
CALL_NUMBER, ARCHITECTURE, FIRST_ARGUMENT, SECOND_ARGUMENT = 0, 4, 16, 24

# Every CLONE_NEW… flag: time, mount, cgroup, host name, IPC, user, pid and network namespaces.
NEW_NAMESPACE_FLAGS = 0x7E020080
TERMINAL_REQUESTS = (0x5412, 0x541C)  # TIOCSTI and TIOCLINUX put words into another's terminal
PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
SOCKET_FAMILIES = (1, 2, 10, 16)  # UNIX, INET, INET6, NETLINK; vsock would lead to the hypervisor

CALLS_BY_MACHINE: dict[str, tuple[int, dict[str, int]]] = {
    "x86_64": (
        0xC000003E,
        {
            "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308,
            "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
            "fspick": 433,
            "mount_setattr": 442, "swapon": 167, "swapoff": 168, "reboot": 169, "acct": 163,
            "init_module": 175, "delete_module": 176, "finit_module": 313, "kexec_load": 246,
            "kexec_file_load": 320, "settimeofday": 164, "clock_settime": 227, "adjtimex": 159,
            "clock_adjtime": 305, "sethostname": 170, "setdomainname": 171, "iopl": 172, "ioperm": 173,
            "quotactl": 179, "quotactl_fd": 443, "nfsservctl": 180, "add_key": 248, "request_key": 249,
            "keyctl": 250, "bpf": 321, "userfaultfd": 323, "perf_event_open": 298, "fanotify_init": 300,
            "open_by_handle_at": 304, "name_to_handle_at": 303, "lookup_dcookie": 212, "vhangup": 153,
            "_sysctl": 156, "uselib": 134, "modify_ldt": 154, "process_vm_readv": 310,
            "process_vm_writev": 311, "kcmp": 312, "move_pages": 279, "migrate_pages": 256, "syslog": 103,
            "pidfd_getfd": 438, "clone3": 435, "io_uring_setup": 425, "io_uring_enter": 426,
            "io_uring_register": 427, "clone": 56, "ioctl": 16, "personality": 135, "socket": 41,
            "socketpair": 53, "open_tree_attr": 467,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "unshare": 97, "setns": 268,
            "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
            "fspick": 433,
            "mount_setattr": 442, "swapon": 224, "swapoff": 225, "reboot": 142, "acct": 89,
            "init_module": 105, "delete_module": 106, "finit_module": 273, "kexec_load": 104,
            "kexec_file_load": 294, "settimeofday": 170, "clock_settime": 112, "adjtimex": 171,
            "clock_adjtime": 266, "sethostname": 161, "setdomainname": 162, "quotactl": 60,
            "quotactl_fd": 443, "add_key": 217, "request_key": 218, "keyctl": 219, "bpf": 280,
            "userfaultfd": 282, "perf_event_open": 241, "fanotify_init": 262, "open_by_handle_at": 265,
            "name_to_handle_at": 264, "lookup_dcookie": 18, "vhangup": 58, "process_vm_readv": 270,
            "process_vm_writev": 271, "kcmp": 272, "move_pages": 239, "migrate_pages": 238, "syslog": 116,
            "pidfd_getfd": 438, "clone3": 435, "io_uring_setup": 425, "io_uring_enter": 426,
            "io_uring_register": 427, "clone": 220, "ioctl": 29, "personality": 92, "socket": 198,
            "socketpair": 199, "open_tree_attr": 467,
        },
    ),
}  # fmt: skip
# "Not there" rather than "not allowed": the C library then takes the older way.
ABSENT = ("clone3", "io_uring_setup", "io_uring_enter", "io_uring_register")
ARGUMENT_CHECKED = ("clone", "ioctl", "personality", "socket", "socketpair")


def filter_program(machine: str | None = None) -> bytes:
    """The program for this machine (or another, for tests), as bubblewrap's `--seccomp` reads it."""
    machine = machine or platform.machine()
    if machine not in CALLS_BY_MACHINE:
        raise MachineUnfitError(
            f"No system-call filter is known for {machine}; "
            f"sandboxes run on {' and '.join(CALLS_BY_MACHINE)}."
        )
    architecture, calls = CALLS_BY_MACHINE[machine]
    program = [
        _instruction(LOAD, ARCHITECTURE),
        _instruction(JUMP_EQUAL, architecture, 1, 0),
        _instruction(RETURN, KILL),
        _instruction(LOAD, CALL_NUMBER),
    ]
    if machine == "x86_64":
        # x32 calls bear other numbers and would pass below the list.
        program += [_instruction(JUMP_GREATER_EQUAL, 0x40000000, 0, 1), _refuse(errno.ENOSYS)]
    for name, number in calls.items():
        if name not in ARGUMENT_CHECKED:
            program += [
                _instruction(JUMP_EQUAL, number, 0, 1),
                _refuse(errno.ENOSYS if name in ABSENT else errno.EPERM),
            ]
    program += _clone_without_namespaces(calls["clone"])
    program += _argument_not_among(calls["ioctl"], SECOND_ARGUMENT, TERMINAL_REQUESTS, errno.EPERM)
    program += _argument_among(calls["personality"], PERSONALITIES, errno.EPERM)
    # A pair of another family would fail, but not before the kernel had loaded that family's module.
    for name in ("socket", "socketpair"):
        program += _argument_among(calls[name], SOCKET_FAMILIES, errno.EAFNOSUPPORT)
    program.append(_instruction(RETURN, ALLOW))
    return b"".join(program)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _refuse(number: int) -> bytes:
    return _instruction(RETURN, REFUSE | number)


def _clone_without_namespaces(call: int) -> list[bytes]:
    return [
        _instruction(JUMP_EQUAL, call, 0, 4),
        _instruction(LOAD, FIRST_ARGUMENT),
        _instruction(JUMP_ANY_BIT, NEW_NAMESPACE_FLAGS, 0, 1),
        _refuse(errno.EPERM),
        _instruction(RETURN, ALLOW),
    ]


def _argument_among(call: int, allowed: tuple[int, ...], number: int) -> list[bytes]:
    """Allow the call for these values of its first argument alone."""
    count = len(allowed)
    tests = [_instruction(JUMP_EQUAL, value, count - index, 0) for index, value in enumerate(allowed)]
    return [
        _instruction(JUMP_EQUAL, call, 0, count + 3),
        _instruction(LOAD, FIRST_ARGUMENT),
        *tests,
        _refuse(number),
        _instruction(RETURN, ALLOW),
    ]


def _argument_not_among(call: int, argument: int, refused: tuple[int, ...], number: int) -> list[bytes]:
    """Allow the call but for these values of the argument."""
    count = len(refused)
    tests = [_instruction(JUMP_EQUAL, value, count - index, 0) for index, value in enumerate(refused)]
    return [
        _instruction(JUMP_EQUAL, call, 0, count + 3),
        _instruction(LOAD, argument),
        *tests,
        _instruction(RETURN, ALLOW),
        _refuse(number),
    ]
