"""Runs inside a sandbox, and prints as JSON what it could reach: `python3 walls_from_inside.py [number,…]`.

The numbers are process ids of the host. Reads, `access` and calls that fail or change nothing: should a wall
be missing, no harm is done. It knows nothing of the product, and must run on Python 3.9.
"""
# The names of files in /proc are no paths to compute with.
# ruff: noqa: PTH112, PTH114, PTH123, PTH208

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
from collections.abc import Callable

libc = ctypes.CDLL(None, use_errno=True)
FAR_SIDE_OF_A_POINTER = 1 << 40  # no memory is there: a call that came through would fail with EFAULT
SECRETS = ("environ", "mem", "maps", "root/etc", "fd/0", "fd/10", "fd/15", "map_files", "stack", "syscall")
LINKS = ("cwd", "exe", "root", "fd/0", "fd/10", "fd/15", "ns/user", "ns/mnt")
ADDRESSES = ("169.254.169.254", "fd00:ec2::254", "10.0.2.2", "192.168.0.1", "192.0.2.1", "2001:db8::1")

# The numbers of x86_64. Arguments are such that nothing happens where a call is let through.
CALLS: dict[str, tuple[int, ...]] = {
    "mount": (165, 0, 0, 0, 0, 0),
    "umount2": (166, 0, 0),
    "pivot_root": (155, 0, 0),
    "chroot": (161, 0),
    "unshare": (272, 0x10000000),
    "setns": (308, -1, 0),
    "open_tree": (428, -1, 0, 1),
    "open_tree_attr": (467, -1, 0, 1, 0, 0),
    "move_mount": (429, -1, 0, -1, 0, 0),
    "fsopen": (430, 0, 0),
    "fsconfig": (431, -1, 0, 0, 0, 0),
    "fsmount": (432, -1, 0, 0),
    "fspick": (433, -1, 0, 0),
    "mount_setattr": (442, -1, 0, 0, 0, 0),
    "init_module": (175, 0, 0, 0),
    "finit_module": (313, -1, 0, 0),
    "delete_module": (176, 0, 0),
    "kexec_load": (246, 0, 0, 0, 0),
    "kexec_file_load": (320, -1, -1, 0, 0, 0),
    "reboot": (169, 0, 0, 0, 0),
    "swapon": (167, 0, 0),
    "swapoff": (168, 0),
    "acct": (163, FAR_SIDE_OF_A_POINTER),
    "settimeofday": (164, 0, 0),
    "clock_settime": (227, 0, 0),
    "sethostname": (170, 0, -1),
    "iopl": (172, 0),
    "ioperm": (173, 0, 0, 0),
    "quotactl": (179, 0, 0, 0, 0),
    "quotactl_fd": (443, -1, 0, 0, 0),
    "add_key": (248, 0, 0, 0, 0, 0),
    "request_key": (249, 0, 0, 0, 0),
    "keyctl": (250, 0, -3, 0),
    "bpf": (321, -1, 0, 0),
    "userfaultfd": (323, -1),
    "perf_event_open": (298, 0, 0, 0, 0, 0),
    "fanotify_init": (300, -1, 0),
    "open_by_handle_at": (304, -1, 0, 0),
    "name_to_handle_at": (303, -1, 0, 0, 0, 0),
    "modify_ldt": (154, -1, 0, 0),
    "process_vm_readv": (310, 1, 0, 0, 0, 0, 0),
    "process_vm_writev": (311, 1, 0, 0, 0, 0, 0),
    "kcmp": (312, 1, 1, 0, 0, 0),
    "pidfd_getfd": (438, -1, 0, 0),
    "syslog": (103, 10, 0, 0),
    "clone with a user namespace": (56, 0x10000011, 0, 0, 0, 0),
    "clone with a network namespace": (56, 0x40000011, 0, 0, 0, 0),
    "clone3": (435, 0, 0),
    "io_uring_setup": (425, 0, 0),
    "io_uring_enter": (426, -1, 0, 0, 0, 0, 0),
    "io_uring_register": (427, -1, 0, 0, 0),
    "an x32 call": (0x40000027,),
    "TIOCSTI": (16, -1, 0x5412, 0),
    "TIOCLINUX": (16, -1, 0x541C, 0),
    "personality with READ_IMPLIES_EXEC": (135, 0x0400000),
    "ptrace of pid 1": (101, 16, 1, 0, 0),
    "ptrace seizing pid 1": (101, 0x4206, 1, 0, 0),
}


def call(number: int, *arguments: int) -> int:
    """The error number of a system call, or 0."""
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(each) for each in arguments))
    return ctypes.get_errno() if result == -1 else 0


def error_of(action: Callable[..., object], *arguments: object) -> int:
    """The error number of something that Python does, or 0."""
    try:
        action(*arguments)
    except OSError as error:
        return error.errno or -1
    return 0


def writable_below(root: str, skipped: set[str]) -> list[str]:
    """Files below a folder that we may write, by `access` alone."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not (folder == "/proc" and name in skipped)]
        paths = [f"{folder}/{name}" for name in names if not os.path.islink(f"{folder}/{name}")]
        found += [path for path in paths if os.access(path, os.W_OK)]
    return found


def connect(family: int, address: str | tuple[str, int]) -> int:
    """The error of a connection; a timeout counts as one that is not there."""
    probe = socket.socket(family, socket.SOCK_STREAM)
    probe.settimeout(1)
    try:
        return error_of(probe.connect, address)
    finally:
        probe.close()


def answers(address: str) -> bool:
    """Whether a web server says anything at an address: a connection alone may end within the sandbox."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect((address, 80))
            probe.send(b"GET / HTTP/1.0\r\n\r\n")
            return probe.recv(1) != b""
        except OSError:
            return False


def size_of(path: str) -> int:
    """Bytes that the file system there can hold."""
    found = os.statvfs(path)
    return found.f_blocks * found.f_frsize


def read(path: str) -> str:
    """A file's text, or the name of the error."""
    try:
        with open(path, errors="replace") as file:
            return file.read(1 << 20)
    except OSError as error:
        return "error: " + str(error.errno)


def new_socket(family: int) -> None:
    """Make a socket, and close it."""
    socket.socket(family, socket.SOCK_RAW if family == socket.AF_NETLINK else socket.SOCK_DGRAM).close()


def sockets() -> dict[str, dict[int, int]]:
    """Error numbers by family, for `socket` and `socketpair`."""
    kinds = range(46)
    return {
        "socket": {n: error_of(new_socket, n) for n in kinds},
        "socketpair": {n: call(53, n, 1, 0, FAR_SIDE_OF_A_POINTER) for n in kinds},
    }


def readable(path: str) -> bool:
    """Whether something can be read there: the kernel may ask who reads only when it is read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return bool(os.listdir(descriptor) if os.path.isdir(path) else os.read(descriptor, 1))
    except OSError:
        return False
    finally:
        os.close(descriptor)


def main() -> None:
    """Look at everything."""
    host_pids, host_socket, host_ports = json.loads(sys.argv[1])
    mine = f"/proc/{os.getpid()}"
    everything = {
        "descriptors": sorted(int(name) for name in os.listdir(mine + "/fd"))[:-1],
        "calls": {name: call(*arguments) for name, arguments in CALLS.items()},
        "sockets": sockets(),
        "status": dict(line.split(":", 1) for line in read("/proc/self/status").splitlines() if ":" in line),
        "writable_in_proc": writable_below("/proc", {n for n in os.listdir("/proc") if n.isdigit()}),
        "devices": sorted(os.listdir("/dev")),
        "terminals": sorted(os.listdir("/dev/pts")),
        "host_processes": {pid: error_of(os.kill, pid, 0) for pid in host_pids},
        "host_abstract_socket": connect(socket.AF_UNIX, host_socket),
        "host_ports": {port: connect(socket.AF_INET, ("127.0.0.1", port)) for port in host_ports},
        "answering": [each for each in ADDRESSES if answers(each)],
        "network_devices": [each.split(":")[0].strip() for each in read("/proc/net/dev").splitlines()[2:]],
        "pid1": [each for each in SECRETS if readable(f"/proc/1/{each}")],
        "pid1_links": {each: error_of(os.readlink, f"/proc/1/{each}") for each in LINKS},
        "environment": sorted(os.environ),
        "files": {
            path: readable(path)
            for path in (
                "/proc/kcore", "/proc/kmsg", "/dev/kmsg", "/dev/mem", "/dev/vda", "/dev/loop0",
                "/dev/loop-control", "/dev/fuse", "/dev/kvm", "/dev/net/tun", "/sys/kernel", "/sys/fs/cgroup",
                "/proc/sysrq-trigger", "/proc/timer_list", "/proc/vmallocinfo",
            )
        },
        "kernel_addresses": sorted({line.split()[0] for line in read("/proc/kallsyms").splitlines()[:500]}),
        "mount_info": read("/proc/self/mountinfo"),
        "cgroup": read("/proc/self/cgroup"),
        "device_made": error_of(os.mknod, "/tmp/probe-device", 0o20666, os.makedev(1, 1)),
        "core_size": read(mine + "/limits").split("Max core file size")[1].split()[:2],
        "address_space": read(mine + "/limits").split("Max address space")[1].split()[:2],
        "sizes": {path: size_of(path) for path in ("/tmp", "/dev/shm", "/run")},
        "hostname": socket.gethostname(),
    }  # fmt: skip
    print(json.dumps(everything))


main()
