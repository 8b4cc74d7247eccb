"""What the machine does beside us, and how much processor time processes of ours take."""

import asyncio
import os
import platform
from collections import defaultdict
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_LOOK_SECONDS = 2.0


async def describe_machine() -> str:
    """The machine, and how busy others keep it: measured before anything of ours runs."""
    before = _machine_ticks()
    await asyncio.sleep(_LOOK_SECONDS)
    idle, total = (after - earlier for after, earlier in zip(_machine_ticks(), before, strict=True))
    load = ", ".join(f"{average:.2f}" for average in os.getloadavg())
    return (
        f"{os.cpu_count()} processors ({_processor()}), Linux {platform.release()}, "
        f"Python {platform.python_version()}; "
        f"before the start {100 * (1 - idle / total):.0f} % of them busy with other things, "
        f"load {load}."
    )


def processor_seconds(process_id: int) -> float:
    """The processor time that a process has used so far, with its children that have ended."""
    user, system, children_user, children_system = map(int, _stat(process_id)[11:15])
    return (user + system + children_user + children_system) / _TICKS_PER_SECOND


def family(process_id: int) -> list[int]:
    """A process, its children, their children, and so on."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                children[int(_stat(int(folder.name))[1])].append(int(folder.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    found = [process_id]
    for each in found:
        found += children[each]
    return found


def _stat(process_id: int) -> list[bytes]:
    """The fields of /proc/<pid>/stat after the name: state, parent, …"""
    return Path(f"/proc/{process_id}/stat").read_bytes().rpartition(b")")[2].split()


def _machine_ticks() -> tuple[int, int]:
    """Ticks that all processors were idle, and all ticks."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
