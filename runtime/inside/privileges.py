"""What processes of a sandbox may ask of the kernel: capabilities, and the filter of system calls.

Numbers are those of linux/capability.h and linux/prctl.h.
"""

from __future__ import annotations

import array
import posix

from runtime.inside.system_calls import call, demand

TYPE_CHECKING = False  # as in typing, whose import costs a sandbox milliseconds
if TYPE_CHECKING:
    from collections.abc import Iterable

PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_CAP_AMBIENT = 4, 22, 24, 47
SECCOMP_MODE_FILTER = 2
AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
LAST_CAPABILITY = 63
INSTRUCTION_BYTES = 8

CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE = (
    0,
    1,
    3,
    4,
    5,
    6,
    7,
    8,
    10,
)
OF_ROOT = (CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, NET_BIND_SERVICE)
"""What the sandbox's `root` may do, in its own user namespace: own files, users and ports, nothing else."""
OF_SUPERVISOR = (*OF_ROOT, SETPCAP)
"""The last one to take the others away from what it starts."""
OF_FILE_AGENT = (DAC_OVERRIDE, FOWNER)
"""What lets the file agent reach every file while what it makes belongs to the user that it acts for."""


def bar_tracing() -> None:
    """Bar everything inside from tracing or reading this process."""
    demand("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)


def bound_capabilities(kept: tuple[int, ...], among: Iterable[int] = range(LAST_CAPABILITY + 1)) -> None:
    """Let neither this process nor what it starts ever have another capability. Needs CAP_SETPCAP."""
    for number in among:
        if number not in kept:
            call("prctl", PR_CAPBSET_DROP, number, 0, 0, 0)  # fails beyond the last one the kernel knows


def set_capabilities(permitted: tuple[int, ...], inheritable: tuple[int, ...] = ()) -> None:
    """Have these capabilities, in effect, and no others."""
    header = CAPABILITY_VERSION_3.to_bytes(4, "little") + bytes(4)
    have, inherit = _mask(permitted), _mask(inheritable)
    low, high = 0xFFFFFFFF, 32
    sets = (have & low, have & low, inherit & low, have >> high, have >> high, inherit >> high)
    demand("capset", header, b"".join([part.to_bytes(4, "little") for part in sets]))


def raise_ambient(numbers: tuple[int, ...]) -> None:
    """Keep these capabilities over the next exec, though it is not root's."""
    for number in numbers:
        demand("prctl", PR_CAP_AMBIENT, AMBIENT_RAISE, number, 0, 0)


def filter_system_calls(descriptor: int) -> None:
    """Install the filter that the host wrote into a memory file, for good."""
    size = posix.fstat(descriptor).st_size
    program = array.array("B", posix.pread(descriptor, size, 0))
    posix.close(descriptor)
    address, length = program.buffer_info()
    description = (length // INSTRUCTION_BYTES).to_bytes(8, "little") + address.to_bytes(8, "little")
    demand("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, description, 0, 0)


def _mask(numbers: tuple[int, ...]) -> int:
    mask = 0
    for number in numbers:
        mask |= 1 << number
    return mask
