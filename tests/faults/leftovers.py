"""What sandboxes may leave behind on a machine: folders, cgroups, mounts, namespaces, processes."""

import os
from pathlib import Path

from tests.faults.parts import children_of


def leftovers(state: Path, runtime_id: int) -> list[str]:
    """What is there of sandboxes of the runtime with this state directory, in words; none once all ended."""
    runtimes = {runtime_id, *children_of(runtime_id)}
    namespaces = {_namespace(process_id) for process_id in runtimes}
    sandboxes = [folder.name for folder in (state / "sandboxes").iterdir()]
    ended = [file.stem for file in (state / "endings").glob("*.json")]
    found = [f"folder of {sandbox_id}" for sandbox_id in sandboxes]
    found += [
        f"cgroup {name}" for name in _cgroups() if name.removeprefix("commandcenter-") in sandboxes + ended
    ]
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            mounts, name = (process / "mountinfo").read_text(), (process / "comm").read_text().strip()
        except OSError:
            continue
        # The machine's own mount table names the runtime's folder too; those of sandboxes are others.
        if str(state) in mounts and _namespace(int(process.name)) not in namespaces | {
            _namespace(os.getpid())
        }:
            found.append(f"process {process.name} ({name}) with a namespace of its own")
        if int(process.name) in runtimes and f"{state}/sandboxes/" in mounts:
            found.append(f"mount in process {process.name} ({name})")
    return found


def _namespace(process_id: int) -> str:
    try:
        return str(Path(f"/proc/{process_id}/ns/mnt").readlink())
    except OSError:
        return ""


def _cgroups() -> list[str]:
    return [
        name for _, folders, _ in os.walk("/sys/fs/cgroup") for name in folders if "commandcenter-" in name
    ]
